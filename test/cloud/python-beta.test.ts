import { describe } from 'vitest';
import { describePythonBetaClient } from '../clients/python-beta.ts';
import { startCloudPlatform } from '../support/cloud.ts';

describe('over two api processes', () => describePythonBetaClient(startCloudPlatform));
