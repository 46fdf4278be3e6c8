import { startLocalPlatform } from '../support/local-server.ts';
import { describePythonBetaClient } from './python-beta.ts';

describePythonBetaClient(startLocalPlatform);
