import { join, relative } from 'node:path';
import { bundleServices } from './bundles.ts';

/** `npm run build`: bundles all services of the cloud into `dist`, or another folder, and says how large they are. */
const root = join(import.meta.dirname, '..');
const outFolder = process.argv[2] ?? join(root, 'dist');

for (const { kind, file, bytes, gzippedBytes } of await bundleServices(root, outFolder)) {
  const size = `${inMegabytes(bytes)} MB, ${inMegabytes(gzippedBytes)} MB gzipped`;
  console.log(`${kind.padEnd(9)}  ${relative(process.cwd(), file).padEnd(24)}  ${size}`);
}

function inMegabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(2);
}
