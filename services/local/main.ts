import { pino } from 'pino';
import { parseLocalEnv } from './env.ts';
import { welcome } from './welcome.ts';

/** Starts the whole platform on this machine and runs until it is told to stop. */
async function main(): Promise<void> {
  // The state holds inputs and outputs, and MIMEO_HOME may be a folder that others can enter.
  process.umask(0o077);
  const env = parseLocalEnv(process.env);
  const logger = pino({ level: env.MIMEO_LOG_LEVEL }, pino.destination({ fd: 2, sync: false }));
  const { startLocal } = await import('./app.ts');
  const platform = await startLocal(env, logger);
  let stopping = false;
  const stop = (signal: string) => {
    if (stopping) process.exit(signal === 'SIGINT' ? 130 : 143);
    stopping = true;
    console.log('\nStopping: running predictions are given back. (Once more to stop at once.)');
    void platform.close().then(() => process.exit(0), fail);
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  await welcome(platform, env);
}

function fail(error: unknown): void {
  console.error(`mimeo: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}

main().catch(fail);
