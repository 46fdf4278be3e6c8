import { describe, expect, it, test } from 'vitest';
import { classifyAddress } from '../../services/core/addresses.ts';
import { nextTryAt, webhookUrlProblem } from '../../services/core/webhook.ts';

const strict = { allowHttp: false, allowPrivate: false };
const local = { allowHttp: true, allowPrivate: true };

test.each([
  ['public', '8.8.8.8'],
  ['public', '2606:4700:4700::1111'],
  ['public', '::ffff:8.8.8.8'],
  ['public', '64:ff9b::808:808'],
  ['private', '127.0.0.1'],
  ['private', '127.255.255.254'],
  ['private', '10.1.2.3'],
  ['private', '172.31.255.255'],
  ['private', '192.168.0.1'],
  ['private', '100.64.0.1'],
  ['private', '::1'],
  ['private', 'fd12:3456::1'],
  ['private', '::ffff:10.0.0.1'],
  ['private', '::ffff:7f00:1'],
  ['forbidden', '0.0.0.0'],
  ['forbidden', '169.254.169.254'],
  ['forbidden', '::ffff:169.254.169.254'],
  ['forbidden', '::ffff:a9fe:a9fe'],
  ['forbidden', '100.100.100.200'],
  ['forbidden', 'fd00:ec2::254'],
  ['forbidden', 'fd20:ce::254'],
  ['forbidden', 'fd00:c1::a9fe:a9fe'],
  ['forbidden', '::'],
  ['forbidden', '::127.0.0.1'],
  ['forbidden', '::ffff:0:127.0.0.1'],
  ['forbidden', '64:ff9b::a9fe:a9fe'],
  ['forbidden', '64:ff9b:1::1'],
  ['forbidden', '2002:7f00:1::'],
  ['forbidden', '2002:a9fe:a9fe::1'],
  ['forbidden', '2001:0:4136:e378::1'],
  ['forbidden', 'fe80::1'],
  ['forbidden', 'fe80::1%eth0'],
  ['forbidden', 'fec0::1'],
  ['forbidden', 'ff02::1'],
  ['forbidden', '224.0.0.1'],
  ['forbidden', '255.255.255.255'],
  ['forbidden', '256.1.1.1'],
  ['forbidden', '1::2::3'],
  ['forbidden', 'example.com'],
])('%s: %s', (kind, address) => {
  expect(classifyAddress(address)).toBe(kind);
});

test('just outside of a private range is public', () => {
  for (const address of [
    '172.15.255.255',
    '172.32.0.0',
    '100.63.255.255',
    '100.128.0.0',
    '11.0.0.0',
    '169.253.1.1',
  ])
    expect(classifyAddress(address), address).toBe('public');
});

describe("a webhook's URL", () => {
  it.each(['https://example.com/hook?a=b', 'https://8.8.8.8/', 'https://[2606:4700:4700::1111]:8443/'])(
    'may be %s',
    (url) => expect(webhookUrlProblem(url, strict)).toBeUndefined(),
  );

  it.each([
    'http://example.com/',
    'ftp://example.com/',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'example.com',
    '',
    'https://user@example.com/',
    'https://user:pass@example.com/',
    'https://127.0.0.1/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://0177.0.0.1/',
    'https://127.1/',
    'https://①②⑦.0.0.1/',
    'https://127.0.0.1./',
    'https://[::1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::ffff:7f00:1]/',
    'https://[64:ff9b::169.254.169.254]/',
    `https://example.com/${'a'.repeat(2048)}`,
  ])('may not be %s', (url) => expect(webhookUrlProblem(url, strict)).toBeTypeOf('string'));

  it('may be http and private where the server says so, but never lead to metadata', () => {
    for (const url of ['http://127.0.0.1:3000/', 'http://localhost/', 'https://10.0.0.1/', 'http://[::1]/'])
      expect(webhookUrlProblem(url, local), url).toBeUndefined();
    for (const url of [
      'http://169.254.169.254/',
      'http://2852039166/',
      'http://[fd00:ec2::254]/',
      'http://0/',
    ])
      expect(webhookUrlProblem(url, local), url).toBeTypeOf('string');
  });
});

/** Every try of a delivery that always fails, ms after the first. */
function tries(event: 'start' | 'output' | 'completed', random: number): number[] {
  const all = [0];
  for (;;) {
    const next = nextTryAt(event, { since: 0, failures: all.length, now: all.at(-1) ?? 0 }, random);
    if (next === undefined) return all;
    all.push(next);
  }
}

describe('tries', () => {
  it.each([0, 1])('of completed go on for a day and then end, with jitter %d', (random) => {
    const at = tries('completed', random);

    expect(at.at(-1)).toBeGreaterThanOrEqual(24 * 3_600_000);
    expect(at.at(-1)).toBeLessThan(30 * 3_600_000);
    expect(at.length).toBeLessThan(30);
  });

  it('come later and later', () => {
    expect(tries('completed', 0).slice(0, 5)).toEqual([0, 2000, 6000, 14_000, 30_000]);
  });

  it('of start are three, of output one', () => {
    expect(tries('start', 0)).toHaveLength(3);
    expect(tries('output', 0)).toHaveLength(1);
  });
});
