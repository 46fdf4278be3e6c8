import type { Queue } from './port.ts';

/** For a process that reads jobs and hands none out. */
export function createNoQueue(): Queue {
  const refuse = async (): Promise<never> => {
    throw new Error('This process hands out no jobs');
  };
  return { send: refuse, receive: refuse, drop: refuse, close: async () => undefined };
}
