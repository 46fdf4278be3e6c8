import { beforeEach, describe, expect, it } from 'vitest';
import { formatPlace, jobTopic, readProgress } from '../../services/data/progress.ts';
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

const output = async (chunk: number, attempt = 2) =>
  channel.publish(jobTopic(job.id), {
    id: formatPlace({ attempt, chunk, log: 0 }),
    type: 'output',
    data: JSON.stringify(`t${chunk}`),
  });
const logs = async (chunk: number, log: number) =>
  channel.publish(jobTopic(job.id), {
    id: formatPlace({ attempt: 2, chunk, log }),
    type: 'logs',
    data: `${chunk}+${log} `,
  });
/** As after a long silence, or where the server of the channel was replaced: what comes next begins a new memory. */
const forgetAll = () => {
  now += memorySeconds * 1000 + 1000;
};

describe('what a job has put out so far', () => {
  it('is what its current attempt has told, once each', async () => {
    await output(1, 1);
    await logs(0, 1);
    await logs(0, 2);
    await output(1);
    await logs(1, 1);
    // Sent again, because the answer was lost.
    await output(1);
    await logs(1, 1);
    await output(2);

    expect(await readProgress(channel, job)).toEqual({ output: ['t1', 't2'], logs: '0+1 0+2 1+1 ' });
  });

  it('is unknown where nothing is remembered', async () => {
    expect(await readProgress(channel, job)).toBeUndefined();
  });

  it('is unknown, not the rest of it, where the memory was lost meanwhile', async () => {
    await output(1);
    await output(2);
    forgetAll();
    await output(3);

    expect(await readProgress(channel, job)).toBeUndefined();
    await logs(3, 1);
    expect(await readProgress(channel, job)).toBeUndefined();
  });

  it('is unknown where only logs are remembered that others came before', async () => {
    await logs(0, 1);
    forgetAll();
    await logs(0, 2);

    expect(await readProgress(channel, job)).toBeUndefined();
  });

  it('is unknown where logs of a later time are all that is remembered', async () => {
    await output(1);
    forgetAll();
    await logs(1, 1);

    expect(await readProgress(channel, job)).toBeUndefined();
  });

  it('is unknown where something in between was lost', async () => {
    await output(1);
    await output(3);

    expect(await readProgress(channel, job)).toBeUndefined();
  });
});
