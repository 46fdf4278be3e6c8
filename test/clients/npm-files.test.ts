import { startLocalPlatform } from '../support/local-server.ts';
import { describeNpmFiles } from './npm-files.ts';

describeNpmFiles(startLocalPlatform);
