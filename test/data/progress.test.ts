import { beforeEach, expect, it } from 'vitest';
import { encodeOutput, jobTopic, readProgress } from '../../services/data/progress.ts';
import { createMemoryChannel } from '../../services/ports/channel/memory.ts';
import { type Channel, memorySeconds } from '../../services/ports/channel/port.ts';
import { aJob } from '../support/jobs.ts';

const job = aJob({ status: 'processing', attempt: 2 });
let now: number;
let channel: Channel;
beforeEach(() => {
  now = 0;
  channel = createMemoryChannel({ now: () => now });
});

async function publish(...events: readonly (readonly [id: string, text: string])[]): Promise<void> {
  for (const [id, text] of events) {
    const said = id.includes('+') ? { type: 'logs', data: text } : encodeOutput({ chunk: text });
    await channel.publish(jobTopic(job.id), { id, ...said });
  }
}

const lost = () => {
  now += memorySeconds * 1000 + 1;
};

it('what an attempt has put out is all that came, each once', async () => {
  await publish(['1.1', 'of another attempt'], ['2.0+1', 'a'], ['2.0+2', 'b'], ['2.1', 'x'], ['2.1+1', 'c']);
  await publish(['2.1', 'x'], ['2.1+1', 'c'], ['2.2', 'y']);

  expect(await readProgress(channel, job)).toEqual({ output: ['x', 'y'], logs: 'abc', files: undefined });
});

it('the end of an output does not pass for all of it where the memory was lost', async () => {
  await publish(['2.1', 'x'], ['2.2', 'y']);
  lost();
  await publish(['2.3', 'z'], ['2.4', '!']);

  expect(await readProgress(channel, job)).toBeUndefined();
});

it.each(['2.0+3', '2.2+1'])('neither do logs that begin with %s', async (id) => {
  await publish(['2.0+1', 'a'], ['2.0+2', 'b'], ['2.1', 'x'], ['2.2', 'y']);
  lost();
  await publish([id, 'c']);

  expect(await readProgress(channel, job)).toBeUndefined();
});

it.each([[['2.1', '2.3']], [['2.1', '2.1+1', '2.1+3']], [['2.0+1', '2.1', '2.1+2']]])(
  'an output is not whole where something of %s was lost on its way',
  async (ids) => {
    await publish(...ids.map((id) => [id, 'x'] as const));

    expect(await readProgress(channel, job)).toBeUndefined();
  },
);

it('logs that two processes counted each for itself are all there', async () => {
  await publish(['2.1', 'x'], ['2.1+1', 'a'], ['2.0+1', 'b'], ['2.1+1', 'c'], ['2.1+2', 'd'], ['2.2', 'y']);

  expect(await readProgress(channel, job)).toMatchObject({ output: ['x', 'y'], logs: 'abcd' });
});
