import { startLocalPlatform } from '../support/local-server.ts';
import { describeNpmClient } from './npm.ts';

describeNpmClient(startLocalPlatform);
