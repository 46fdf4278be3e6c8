import { type OutputFile, outputFileKey, replaceAt } from '../core/output-files.ts';
import type { Objects } from '../ports/objects/port.ts';
import type { Value } from '../ports/table/port.ts';

/** How long the URL of a file that a model put out can be used; each reading of the prediction makes new ones. */
const urlSeconds = 3600;

/**
 * An output with a signed URL where each of its files belongs.
 * @param files undefined where it has none, which costs nothing
 */
export async function withUrls(
  objects: Objects,
  job: { readonly account: string; readonly id: string },
  output: Value,
  files: readonly OutputFile[] | undefined,
): Promise<Value> {
  let signed = output;
  for (const { path, name } of files ?? []) {
    const url = await objects.signGet(outputFileKey(job, name), { expiresSeconds: urlSeconds });
    signed = replaceAt(signed, path, url) as Value;
  }
  return signed;
}
