import { startLocalPlatform } from '../support/local-server.ts';
import { describeNpmMethods } from './npm-methods.ts';

describeNpmMethods(startLocalPlatform);
