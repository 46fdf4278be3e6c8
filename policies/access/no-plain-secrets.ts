import { environmentVariablesOf, hasEnvironmentVariables } from '../environment-variables.ts';
import { resourcePolicy } from '../policy.ts';

/** Values that are secrets by their form. */
const forms: readonly { readonly what: string; readonly isIt: (value: string) => boolean }[] = [
  { what: 'a private key', isIt: (value) => /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(value) },
  { what: 'an access key of AWS', isIt: (value) => /\b(AKIA|ASIA)[A-Z0-9]{16}\b/.test(value) },
  {
    what: 'a URL with a password',
    isIt: (value) => /^[a-z][a-z0-9+.-]*:\/\/[^/\s:@]*:[^/\s@]+@/.test(value),
  },
  { what: 'a key in hex', isIt: (value) => /^[0-9a-f]{32,}$/i.test(value) },
  { what: 'a key in base64', isIt: isLikeBase64 },
];

export const noPlainSecrets = resourcePolicy({
  name: 'no-plain-secrets',
  description: 'A variable should name a secret by its ARN and never hold it.',
  enforcement: 'mandatory',
  check(resource) {
    if (!hasEnvironmentVariables(resource.type)) return [];
    return environmentVariablesOf(resource).flatMap(({ name, value }) => {
      if (typeof value !== 'string') return [];
      const form = forms.find(({ isIt }) => isIt(value.trim()));
      if (!form) return [];
      return [
        `has what looks like ${form.what} in ${name}, where whoever may describe it reads it; put it into Secrets Manager and give its ARN`,
      ];
    });
  },
});

/** One long word of capitals, small letters and digits, as no name, path, URL or list is. */
function isLikeBase64(value: string): boolean {
  if (!/^[A-Za-z0-9+/_-]{40,}={0,2}$/.test(value) || /^[a-z]*\//.test(value)) return false;
  return [/[A-Z]/, /[a-z]/, /\d/].every((kind) => kind.test(value));
}
