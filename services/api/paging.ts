/** The URL of the page after this one, or null. */
export function nextUrl(
  url: string,
  cursor: string | undefined,
  query: Readonly<Record<string, string | undefined>> = {},
): string | null {
  if (cursor === undefined) return null;
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return `${url}?${new URLSearchParams([...given, ['cursor', cursor]])}`;
}
