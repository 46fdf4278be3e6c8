import { extname } from 'node:path';

/** Media types of the files that models take and give, by extension; the first extension of a type is its own. */
const typesByExtension: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
  gif: 'image/gif',
  svg: 'image/svg+xml',
  bmp: 'image/bmp',
  tiff: 'image/tiff',
  avif: 'image/avif',
  mp4: 'video/mp4',
  webm: 'video/webm',
  mov: 'video/quicktime',
  mp3: 'audio/mpeg',
  wav: 'audio/wav',
  ogg: 'audio/ogg',
  flac: 'audio/flac',
  m4a: 'audio/mp4',
  txt: 'text/plain',
  csv: 'text/csv',
  html: 'text/html',
  md: 'text/markdown',
  json: 'application/json',
  pdf: 'application/pdf',
  zip: 'application/zip',
  gz: 'application/gzip',
  tar: 'application/x-tar',
  glb: 'model/gltf-binary',
};

/** Names that servers give to types that have another name above. */
const synonyms: Readonly<Record<string, string>> = {
  'audio/x-wav': 'audio/wav',
  'audio/wave': 'audio/wav',
  'audio/mp3': 'audio/mpeg',
  'image/jpg': 'image/jpeg',
};

/** The media type of a file, by its name. */
export function mediaTypeOf(path: string): string {
  return typesByExtension[extname(path).slice(1).toLowerCase()] ?? 'application/octet-stream';
}

/** The extension, without its dot, of a media type such as `text/plain; charset=utf-8`; `bin` where none is known. */
export function extensionOf(mediaType: string): string {
  const plain = mediaType.split(';')[0]?.trim().toLowerCase() ?? '';
  const wanted = synonyms[plain] ?? plain;
  return Object.entries(typesByExtension).find(([, type]) => type === wanted)?.[0] ?? 'bin';
}
