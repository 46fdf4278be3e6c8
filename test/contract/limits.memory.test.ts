import { createMemoryLimits } from '../../services/ports/limits/memory.ts';
import { describeLimits } from './limits.ts';

describeLimits('memory', async () => createMemoryLimits());
