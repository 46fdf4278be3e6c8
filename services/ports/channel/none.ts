import type { Channel } from './port.ts';

/** For a process outside of the channel's network: nobody hears it, and what it reads comes from what is stored. */
export function createNoChannel(): Channel {
  return {
    publish: async () => undefined,
    ring: async () => undefined,
    subscribe: async () => ({ replay: { events: [], gap: false }, close: () => undefined }),
    close: async () => undefined,
  };
}
