/**
 * What kind of network an IP address belongs to. `forbidden` are those that nothing of ours may ever be made to call:
 * link-local ones with the clouds' metadata services, multicast, reserved and unspecified ones.
 */
export type AddressClass = 'public' | 'private' | 'forbidden';

interface Range {
  readonly start: bigint;
  readonly bits: number;
}

// https://www.iana.org/assignments/iana-ipv4-special-registry
const privateV4 = ['10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'].map(v4);
const forbiddenV4 = [
  '0.0.0.0/8',
  // Alibaba Cloud's metadata and Azure's host; others' metadata is link-local.
  '100.100.100.200/32',
  '168.63.129.16/32',
  '169.254.0.0/16',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
].map(v4);

// https://www.iana.org/assignments/iana-ipv6-special-registry
const privateV6 = ['::1/128', 'fc00::/7'].map(v6);
const forbiddenV6 = [
  '::/128',
  '100::/64',
  '64:ff9b:1::/48',
  '2001::/23',
  '2001:db8::/32',
  '3fff::/20',
  // What EC2 offers its machines, the metadata service at ::254 among it.
  'fd00:ec2::/32',
  // The metadata services of Google Cloud and of Oracle's.
  'fd20:ce::254/128',
  'fd00:c1::a9fe:a9fe/128',
].map(v6);
const globalV6 = v6('2000::/3');
const mappedV6 = v6('::ffff:0:0/96');
/** Translations of IPv4 addresses (compatible, SIIT, NAT64, 6to4), and how far the address is from the right. */
const translatedV6 = [
  { range: v6('::/96'), shift: 0n },
  { range: v6('::ffff:0:0:0/96'), shift: 0n },
  { range: v6('64:ff9b::/96'), shift: 0n },
  { range: v6('2002::/16'), shift: 80n },
];

/** The class of an IPv4 or IPv6 address as resolvers and `URL` write it; `forbidden` for anything else. */
export function classifyAddress(address: string): AddressClass {
  const four = parseV4(address);
  if (four !== undefined) return classifyV4(four);
  const six = parseV6(address);
  return six === undefined ? 'forbidden' : classifyV6(six);
}

/** Whether a text is an IP address. */
export function isAddress(text: string): boolean {
  return parseV4(text) !== undefined || parseV6(text) !== undefined;
}

function classifyV4(value: bigint): AddressClass {
  if (forbiddenV4.some((range) => holds(range, value, 32))) return 'forbidden';
  return privateV4.some((range) => holds(range, value, 32)) ? 'private' : 'public';
}

function classifyV6(value: bigint): AddressClass {
  if (forbiddenV6.some((range) => holds(range, value, 128))) return 'forbidden';
  if (privateV6.some((range) => holds(range, value, 128))) return 'private';
  if (holds(mappedV6, value, 128)) return classifyV4(value & 0xffffffffn);
  const translated = translatedV6.find(({ range }) => holds(range, value, 128));
  // Nobody writes a private address like that but to hide it.
  if (translated) {
    return classifyV4((value >> translated.shift) & 0xffffffffn) === 'public' ? 'public' : 'forbidden';
  }
  return holds(globalV6, value, 128) ? 'public' : 'forbidden';
}

function holds({ start, bits }: Range, value: bigint, width: number): boolean {
  const rest = BigInt(width - bits);
  return value >> rest === start >> rest;
}

function parseV4(text: string): bigint | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  const bytes = match?.slice(1).map(Number);
  if (!bytes || bytes.some((byte) => byte > 255)) return undefined;
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function parseV6(text: string): bigint | undefined {
  const tail = /(?<=:)\d+\.\d+\.\d+\.\d+$/.exec(text)?.[0];
  const four = tail === undefined ? undefined : parseV4(tail);
  if (tail !== undefined && four === undefined) return undefined;
  const plain =
    four === undefined || tail === undefined
      ? text
      : `${text.slice(0, -tail.length)}${(four >> 16n).toString(16)}:${(four & 0xffffn).toString(16)}`;
  const halves = plain.split('::').map((half) => (half === '' ? [] : half.split(':')));
  const [head = [], end] = halves;
  if (halves.length > 2) return undefined;
  const given = head.length + (end?.length ?? 0);
  if (end === undefined ? given !== 8 : given > 7) return undefined;
  const groups = [...head, ...Array<string>(8 - given).fill('0'), ...(end ?? [])];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return groups.reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n);
}

function v4(text: string): Range {
  const [address = '', bits] = text.split('/');
  return { start: parseV4(address) ?? 0n, bits: Number(bits) };
}

function v6(text: string): Range {
  const [address = '', bits] = text.split('/');
  return { start: parseV6(address) ?? 0n, bits: Number(bits) };
}
