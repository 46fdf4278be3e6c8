import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { signCapability } from '../../services/api/capability.ts';
import type { PredictionBody } from '../../services/api/schemas.ts';
import { sharedPoolId } from '../../services/core/pool.ts';
import { streamKeyOf } from '../../services/core/signing-keys.ts';
import { jobTopic } from '../../services/data/progress.ts';
import { memoryEvents } from '../../services/ports/channel/port.ts';
import type { Assignment, FleetProtocol, RunnerEvent } from '../../services/ports/fleet-protocol/port.ts';
import { openApi, type TestApi, testSigningKey } from '../support/api.ts';
import { type EventSourceMessage, eventsOf, outputs } from '../support/sse.ts';

const version = 'a'.repeat(64);
const pool = sharedPoolId({ model: 'local/echo', version, hardware: 'cpu' });

let test: TestApi;
let runner: FleetProtocol;
let url: string;
let job: Assignment;
beforeEach(async () => {
  test = await openApi();
  await test.addModel({ name: 'echo' }, { id: version, streams: true });
  runner = test.api.dispatch.protocolFor({ role: 'runner', pool });
  const created = await test.call('POST', '/v1/models/local/echo/predictions', { input: {} });
  url = String(((await created.json()) as PredictionBody).urls.stream);
  job = await lease();
});
afterEach(async () => test.close());

async function lease(): Promise<Assignment> {
  const leased = await runner.lease({ instance: 'instance', waitSeconds: 0 });
  if (!leased) throw new Error('nothing was leased');
  return leased;
}

function refOf({ id, attempt }: Assignment) {
  return { id, attempt };
}

async function report(...events: RunnerEvent[]): Promise<void> {
  await runner.report({ id: job.id, attempt: job.attempt, events });
}

function token(index: number): RunnerEvent {
  return { type: 'output', index, chunk: `t${index}` };
}

function end(count: number, logs = ''): RunnerEvent {
  const output = Array.from({ length: count }, (_, index) => `t${index}`);
  const outcome = { status: 'succeeded', output, predictMs: 1, metrics: {} } as const;
  return { type: 'ended', outcome, logs, acceptedAfterMs: 0 };
}

const tokens = (count: number) => Array.from({ length: count }, (_, index) => `t${index}`);

async function open(lastEventId?: string): Promise<Response> {
  return await test.api.app.request(url, {
    headers: lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
  });
}

/** A reader that collects what comes. */
async function follow(lastEventId?: string) {
  const response = await open(lastEventId);
  const events: EventSourceMessage[] = [];
  const ended = (async () => {
    for await (const event of eventsOf(response)) events.push(event);
    return events;
  })();
  return { events, ended };
}

describe('a stream', () => {
  it('brings what is reported, as it is reported', async () => {
    const { events, ended } = await follow();
    await report({ type: 'logs', text: 'begins\n' }, token(0));
    await expect
      .poll(() => events.map(({ event, data }) => [event, data]))
      .toEqual([
        ['logs', 'begins\n'],
        ['output', 't0'],
      ]);
    await report(token(1), end(2, 'begins\n'));

    expect(outputs(await ended)).toEqual(tokens(2));
    expect(events.at(-1)).toMatchObject({ event: 'done', data: '{}' });
  });

  it('opens by a URL that was signed by the key that is for nothing else, as webhooks carry it', async () => {
    const expiresAt = Math.floor(test.clock.now / 1000) + 60;
    const signature = signCapability(streamKeyOf(testSigningKey), `stream:${job.id}`, expiresAt);
    const query = new URLSearchParams({ expires: String(expiresAt), signature });
    await report(token(0), end(1));
    const response = await test.api.app.request(`/v1/streams/${job.id}?${query}`);

    expect(outputs(await Array.fromAsync(eventsOf(response)))).toEqual(['t0']);
    query.set('signature', signCapability(Buffer.alloc(32, 8), `stream:${job.id}`, expiresAt));
    expect((await test.api.app.request(`/v1/streams/${job.id}?${query}`)).status).toBe(401);
  });

  it('fills in a token that got lost on its way, in its place', async () => {
    const { ended } = await follow();
    await report(token(0), token(2), token(3));
    await report(end(5));

    expect(outputs(await ended)).toEqual(tokens(5));
  });

  it('serves a reader who comes back after more than is remembered', async () => {
    const count = memoryEvents + 100;
    await report(token(0), token(1));
    const { events } = await follow();
    await expect.poll(() => outputs(events)).toEqual(['t0', 't1']);
    const lastEventId = events.at(-1)?.id;
    for (let index = 2; index < count; index += 1) await report(token(index));

    const resumed = await follow(lastEventId);
    await report(end(count));

    expect(outputs(await resumed.ended)).toEqual(tokens(count).slice(2));
  });

  it('serves a reader whose place nobody remembers from the stored output', async () => {
    await report(token(0), token(1), end(4, 'all the logs\n'));
    await test.channel.close();
    test.clock.now += 1;
    const reopened = await reopenedChannel();

    expect(outputs(await reopened('1.2'))).toEqual(['t2', 't3']);
    const whole = await reopened();
    expect(outputs(whole)).toEqual(tokens(4));
    expect(whole[0]).toMatchObject({ event: 'logs', data: 'all the logs\n' });
  });

  it('brings what was stored in the meantime to a reader who comes too late for it, before the end', async () => {
    for (let index = 0; index < 10; index += 1) await report(token(index));
    test.clock.now += 10_000;
    await report(token(10));
    for (let line = 0; line < memoryEvents; line += 1) await report({ type: 'logs', text: `${line}\n` });

    const { events, ended } = await follow();
    await expect.poll(() => outputs(events)).toEqual(tokens(11));
    await report(end(12));

    expect(outputs(await ended)).toEqual(tokens(12));
  });

  it.each([
    ['comes', undefined],
    ['has seen logs of an earlier attempt', '1.0+1'],
  ])('misses nothing for a reader who %s when the beginning is forgotten already', async (_, lastEventId) => {
    await report({ type: 'logs', text: 'first\n' });
    await runner.giveBack(job);
    job = await lease();
    const count = memoryEvents + 100;
    for (let index = 0; index < count; index += 1) await report(token(index));

    const { ended } = await follow(lastEventId);
    await report(token(count), end(count + 1));

    expect(outputs(await ended)).toEqual(tokens(count + 1));
  });

  it('brings what was stored to a new reader where the memory was lost and has begun anew', async () => {
    const stored = { output: ['t0', 't1'], logs: '', metrics: {}, attempt: 1 };
    const running = await test.flow.jobs.get(job.id);
    if (running) await test.flow.jobs.checkpoint(running, stored);
    await test.channel.publish(jobTopic(job.id), { id: '1.3', type: 'output', data: '"t2"' });

    const reader = await follow();

    await expect.poll(() => outputs(reader.events)).toEqual(tokens(3));
    await report(end(3));
    expect(outputs(await reader.ended)).toEqual(tokens(3));
  });

  it('repeats nothing to a reader whose place it never gave out', async () => {
    const line = { type: 'logs', text: 'line\n' } as const;
    await report(line, token(0), line, token(1), line, token(2), end(3, 'line\nline\nline\n'));

    const events = await (await follow('1.2+9')).ended;

    expect(events.map(({ id, event }) => [id, event])).toEqual([
      ['1.3', 'output'],
      ['1.3', 'done'],
    ]);
  });

  it('goes on with the next attempt where the first had shown nothing', async () => {
    const { ended } = await follow();
    await report({ type: 'logs', text: 'first\n' });
    await runner.giveBack(job);
    job = await lease();
    await report({ type: 'logs', text: 'second\n' }, token(0), end(1, 'second\n'));

    const events = await ended;
    expect(events.map(({ event, data }) => [event, data])).toEqual([
      ['logs', 'first\n'],
      ['logs', 'second\n'],
      ['output', 't0'],
      ['done', '{}'],
    ]);
  });

  it('is not disturbed by the end of an earlier attempt that comes late', async () => {
    const first = job;
    await runner.giveBack(first);
    job = await lease();
    const { events, ended } = await follow();
    await report({ type: 'logs', text: 'one\n' }, token(0));

    await expect(runner.report({ ...refOf(first), events: [end(0)] })).rejects.toMatchObject({
      code: 'stale_attempt',
    });
    await report({ type: 'logs', text: 'two\n' }, token(1), end(2, 'one\ntwo\n'));

    await ended;
    expect(events.filter(({ event }) => event === 'logs').map(({ data }) => data)).toEqual([
      'one\n',
      'two\n',
    ]);
    expect(outputs(events)).toEqual(tokens(2));
  });

  it('ends though nobody rang', async () => {
    const { ended } = await follow();
    // Written past the doorbell, as from an api that dies between the write and the ring.
    await test.flow.jobs.applyTo(await stored(), { type: 'cancel', at: test.clock.now, reason: 'canceled' });

    expect((await ended).at(-1)).toMatchObject({ event: 'done', data: '{"reason":"canceled"}' });
  });

  it('tells why a prediction failed', async () => {
    const failure = { code: 'model_error', message: 'line one\nline two' } as const;
    const outcome = { status: 'failed', failure, output: null, predictMs: 1, metrics: {} } as const;
    await report({ type: 'ended', outcome, logs: '', acceptedAfterMs: 0 });

    const events = await (await follow()).ended;
    expect(events.map(({ event, data }) => [event, data])).toEqual([
      ['error', 'line one\nline two'],
      ['done', '{"reason":"error"}'],
    ]);
  });

  it('brings any text and any value unharmed', async () => {
    const chunks = ['', ' ', '\n', 'a\nb\n', ': comment', 'data: x', '🦆', { a: [1, null] }, 7, true];
    const outcome = { status: 'succeeded', output: chunks, predictMs: 1, metrics: {} } as const;
    await report(...chunks.map((chunk, index) => ({ type: 'output', index, chunk }) as const));
    await report({ type: 'ended', outcome, logs: '', acceptedAfterMs: 0 });

    expect(outputs(await (await follow()).ended)).toEqual(
      chunks.map((chunk) => (typeof chunk === 'string' ? chunk : JSON.stringify(chunk))),
    );
  });

  it('waits for a slow reader with a bounded memory, and brings it everything in order', async () => {
    const { streamEvents } = await import('../../services/api/stream.ts');
    const parts = { jobs: test.flow.jobs, channel: test.channel, objects: test.objects };
    const subscribe = vi.spyOn(test.channel, 'subscribe');
    const reader = streamEvents(parts, job.id, undefined, new AbortController().signal);
    const kept = memoryEvents * 4;
    const count = memoryEvents * 10;
    let reported = 0;
    const go = async (to: number) => {
      while (reported < to) await report(token(reported++));
    };
    const seen: string[] = [];
    const read = async (to: number) => {
      while (seen.length < to) {
        const { value } = await reader.next();
        if (value?.event === 'output') seen.push(value.data);
      }
    };

    await go(1);
    await read(1);
    const asleep = reader.next();
    await go(2);
    seen.push((await asleep).value?.data ?? '');
    // Here it reads nothing while more comes than is kept for it, though not more than is remembered.
    await go(kept + 3000);
    await read(kept + 3000);
    expect(subscribe).toHaveBeenCalledTimes(2);
    // And here more than is remembered; what was forgotten is stored with the end.
    await go(count);
    await read(kept * 2);
    await report(end(count));
    await read(count);

    expect(seen).toEqual(tokens(count));
    expect((await reader.next()).value).toMatchObject({ event: 'done' });
  });

  async function stored() {
    const found = await test.flow.jobs.get(job.id);
    if (!found) throw new Error('the job is gone');
    return found;
  }

  /** What readers get from an api that has just been started on the same store. */
  async function reopenedChannel() {
    const { streamEvents } = await import('../../services/api/stream.ts');
    const { createMemoryChannel } = await import('../../services/ports/channel/memory.ts');
    const parts = { jobs: test.flow.jobs, channel: createMemoryChannel(), objects: test.objects };
    return async (lastEventId?: string) =>
      Array.fromAsync(streamEvents(parts, job.id, lastEventId, new AbortController().signal));
  }
});

describe("a stream's URL", () => {
  it('is opened without a token, from any page', async () => {
    await report(end(1));
    const response = await open();

    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    const preflight = await test.api.app.request(url, { method: 'OPTIONS' });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-headers')).toContain('last-event-id');
  });

  it('answers HEAD at once, and follows nothing for it', async () => {
    const subscribe = vi.spyOn(test.channel, 'subscribe');

    const response = await test.api.app.request(url, { method: 'HEAD' });

    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    expect(subscribe).not.toHaveBeenCalled();
  });

  it('is of one prediction, cannot be made up, and ends with its time', async () => {
    const other = url.replace(job.id, 'b'.repeat(26));
    const longer = url.replace(/expires=(\d+)/, (_, expires) => `expires=${Number(expires) + 1}`);
    const unsigned = url.replace(/signature=.*/, 'signature=');

    for (const made of [other, longer, unsigned]) {
      const response = await test.api.app.request(made);
      expect(response.status).toBe(401);
      expect(response.headers.get('access-control-allow-origin')).toBe('*');
    }
    expect((await test.api.app.request(url.split('?')[0] ?? '')).status).toBe(400);
    test.clock.now += 24 * 3_600_000 + 1000;
    expect((await open()).status).toBe(401);
  });
});
