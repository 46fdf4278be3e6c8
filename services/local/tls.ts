import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** What a server needs to speak TLS, in PEM. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

/**
 * The certificate (with its chain) and the key that a server is to use.
 * @param paths of PEM files; undefined where the variable is not set
 * @returns undefined where neither is set
 * @throws Error that names the variable, the file and what is wrong with it
 */
export function readTls(paths: {
  readonly cert: string | undefined;
  readonly key: string | undefined;
}): TlsFiles | undefined {
  if (paths.cert === undefined && paths.key === undefined) return undefined;
  if (paths.cert === undefined || paths.key === undefined)
    throw new Error('MIMEO_TLS_CERT and MIMEO_TLS_KEY belong together: set both, or neither.');
  const cert = read('MIMEO_TLS_CERT', paths.cert);
  const key = read('MIMEO_TLS_KEY', paths.key);
  const certificate = parse('MIMEO_TLS_CERT', paths.cert, 'a certificate', () => new X509Certificate(cert));
  const privateKey = parse('MIMEO_TLS_KEY', paths.key, 'a private key', () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(privateKey))
    throw new Error(`The key in ${paths.key} (MIMEO_TLS_KEY) is not that of ${paths.cert} (MIMEO_TLS_CERT).`);
  return { cert, key };
}

function read(variable: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(`The file ${path} (${variable}) cannot be read: ${code ?? String(error)}.`);
  }
}

function parse<T>(variable: string, path: string, what: string, parsePem: () => T): T {
  try {
    return parsePem();
  } catch {
    throw new Error(`The file ${path} (${variable}) does not hold ${what} in PEM form.`);
  }
}
