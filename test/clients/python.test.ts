import { startLocalPlatform } from '../support/local-server.ts';
import { describePythonClient } from './python.ts';

describePythonClient(startLocalPlatform);
