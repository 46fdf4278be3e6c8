import { describe } from 'vitest';
import { describePythonClient } from '../clients/python.ts';
import { startCloudPlatform } from '../support/cloud.ts';

describe('over two api processes', () => describePythonClient(startCloudPlatform));
