import type { Instance } from '../../services/core/pool.ts';

let made = 0;

/** An instance that has been ready and idle since `at`, unless told otherwise. */
export function anInstance(over: Partial<Instance> = {}, at = 0): Instance {
  made += 1;
  const phase = over.phase ?? 'ready';
  return {
    id: `instance-${made}`,
    pool: 'acme/model:1@cpu',
    phase,
    startedAt: at,
    readyAt: phase === 'ready' || phase === 'draining' ? at : null,
    running: 0,
    idleSince: phase === 'ready' && !over.running ? at : null,
    failure: phase === 'failed' ? { code: 'setup_failed', message: 'No module named torch.' } : null,
    setupLogs: phase === 'failed' ? 'Traceback: No module named torch\n' : '',
    ...over,
  };
}

export function booting(at = 0): Instance {
  return anInstance({ phase: 'setup' }, at);
}

export function busy(at = 0): Instance {
  return anInstance({ running: 1 }, at);
}

export function failed(at = 0): Instance {
  return anInstance({ phase: 'failed' }, at);
}
