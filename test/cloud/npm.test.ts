import { describe } from 'vitest';
import { describeNpmClient } from '../clients/npm.ts';
import { describeNpmFiles } from '../clients/npm-files.ts';
import { describeNpmMethods } from '../clients/npm-methods.ts';
import { startCloudPlatform } from '../support/cloud.ts';

describe('over two api processes: the npm client', () => describeNpmClient(startCloudPlatform));
describe("over two api processes: the npm client's files", () => describeNpmFiles(startCloudPlatform));
describe("over two api processes: the npm client's methods", () => describeNpmMethods(startCloudPlatform));
