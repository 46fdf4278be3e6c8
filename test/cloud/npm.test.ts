import { describe } from 'vitest';
import { describeNpmMethods } from '../clients/npm-methods.ts';
import { startCloudPlatform } from '../support/cloud.ts';

// The rest of the client's suite runs over two api processes in test/infra/box.
describe("over two api processes: the npm client's methods", () => describeNpmMethods(startCloudPlatform));
