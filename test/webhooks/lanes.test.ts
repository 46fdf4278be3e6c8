import { expect, it } from 'vitest';
import { Lanes } from '../../services/webhooks/lanes.ts';

/** Lanes whose work ends when told to, and what has begun, in order. */
function openLanes() {
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  let rooms = 0;
  const lanes = new Lanes(
    (id) => {
      begun.push(id);
      return new Promise((done) => ends.set(id, done));
    },
    () => {
      rooms += 1;
    },
  );
  const end = async (id: string) => {
    ends.get(id)?.();
    await new Promise((done) => setImmediate(done));
  };
  return { lanes, begun, end, rooms: () => rooms };
}

it('sends what must arrive before what is old soon, four at a time to one host', async () => {
  const { lanes, begun, end } = openLanes();
  for (const id of ['a', 'b', 'c', 'd', 'output']) lanes.add(id, 'host', false);
  lanes.add('completed', 'host', true);

  expect(begun).toEqual(['a', 'b', 'c', 'd']);
  await end('b');
  await end('a');
  expect(begun.slice(4)).toEqual(['completed', 'output']);
});

it('takes a delivery once while it waits or runs, and again afterwards', async () => {
  const { lanes, begun, end } = openLanes();
  lanes.add('a', 'host', true);
  lanes.add('a', 'host', true);
  expect(begun).toEqual(['a']);

  await end('a');
  lanes.add('a', 'host', true);
  expect(begun).toEqual(['a', 'a']);
});

it('gives a host that has had no turn the next one, however many dead hosts have long lines', async () => {
  const { lanes, begun, end } = openLanes();
  for (let host = 0; host < 40; host += 1)
    for (let item = 0; item < 8; item += 1) lanes.add(`${host}-${item}`, `host ${host}`, true);
  lanes.add('late', 'a host that answers', true);
  expect(begun).toHaveLength(128);

  for (const id of begun.slice(0, 40)) await end(id);

  expect(begun).toContain('late');
});

it('tells when a line that was too long has room again', async () => {
  const { lanes, begun, end, rooms } = openLanes();
  for (let item = 0; item < 1100; item += 1) lanes.add(`${item}`, 'host', true);
  for (let done = 0; done < begun.length; done += 1) await end(begun[done] ?? '');

  expect(begun).toHaveLength(1004);
  expect(rooms()).toBe(1);
});

it('a line that was too long has nothing to do with the ends of others', async () => {
  const { lanes, begun, end, rooms } = openLanes();
  for (let item = 0; item < 1100; item += 1) lanes.add(`full-${item}`, 'full', true);
  for (let item = 0; item < 10; item += 1) lanes.add(`other-${item}`, 'other', true);
  for (let done = 0; done < begun.length; done += 1) {
    const id = begun[done] ?? '';
    if (id.startsWith('other')) await end(id);
  }

  expect(begun.filter((id) => id.startsWith('other'))).toHaveLength(10);
  expect(rooms()).toBe(0);
});

it('tells of room again each time that a line was too long, and takes what found none before', async () => {
  const { lanes, begun, end, rooms } = openLanes();
  const addAll = () => {
    for (let item = 0; item < 2500; item += 1)
      if (!begun.includes(`${item}`)) lanes.add(`${item}`, 'host', true);
  };
  addAll();
  for (let done = 0; done < begun.length; done += 1) {
    const before = rooms();
    await end(begun[done] ?? '');
    // As a look at the table does.
    if (rooms() > before) addAll();
  }

  expect(begun).toHaveLength(2500);
  expect(new Set(begun).size).toBe(2500);
  expect(rooms()).toBe(2);
});

it('what must arrive finds room where what is old soon finds none', async () => {
  const { lanes, begun, end } = openLanes();
  for (let item = 0; item < 1100; item += 1) lanes.add(`output-${item}`, 'host', false);
  lanes.add('completed', 'host', true);
  await end('output-0');

  expect(begun.at(-1)).toBe('completed');
});

it('what was closed asks for nothing more', async () => {
  const { lanes, begun, end, rooms } = openLanes();
  for (let item = 0; item < 1100; item += 1) lanes.add(`${item}`, 'host', true);
  const closed = lanes.close();
  for (const id of [...begun]) await end(id);
  await closed;

  expect([begun.length, rooms()]).toEqual([4, 0]);
});
