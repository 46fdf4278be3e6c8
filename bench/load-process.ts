import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { LoadAnswer, Round, RoundResult } from './load.ts';

/** The load generator in a process of its own, so that neither side's measuring disturbs it. */
export interface LoadProcess {
  /** @throws Error on the first answer that is not the right one */
  run(round: Round): Promise<RoundResult>;
  close(): void;
}

export function startLoadProcess(): LoadProcess {
  const child = fork(new URL('./load.ts', import.meta.url), { serialization: 'advanced' });
  return {
    async run(round) {
      const left = new AbortController();
      try {
        const message = once(child, 'message', left);
        const exit = once(child, 'exit', left).then(([code]) => {
          throw new Error(`The load generator ended by itself with code ${code}`);
        });
        child.send(round);
        const [answer] = (await Promise.race([message, exit])) as [LoadAnswer];
        if ('error' in answer) throw new Error(answer.error);
        return answer.result;
      } finally {
        left.abort();
      }
    },
    close: () => void child.kill(),
  };
}
