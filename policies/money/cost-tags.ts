import { resourcePolicy } from '../policy.ts';
import { at, notKnown, type PolicedProvider } from '../resource.ts';
import { list } from '../settings.ts';

export const costTags = resourcePolicy({
  name: 'cost-tags',
  description: 'Every resource of AWS should come from a provider whose default tags say who pays.',
  enforcement: 'mandatory',
  settings: {
    tags: list('Tags that every resource carries', ['mimeo:project', 'mimeo:environment']),
  },
  check({ type, provider }, { settings: { tags } }) {
    if (!type.startsWith('aws:')) return [];
    if (!provider || /^default(_|$)/.test(provider.name)) {
      return [
        "is made by AWS's default provider, which tags nothing; pass on the component's provider, by parent or providers",
      ];
    }
    const given = defaultTagsOf(provider);
    if (given === notKnown)
      return ['has a provider whose defaultTags are not literal, so that nobody can tell who pays'];
    const missing = tags.filter((tag) => typeof at(given, tag) !== 'string');
    if (missing.length === 0) return [];
    return [
      `comes from a provider without the default tags ${missing.join(', ')}; add them to its defaultTags`,
    ];
  },
});

/** Nested inputs of a provider are JSON, as the engine has them. */
function defaultTagsOf({ props }: PolicedProvider): unknown {
  const value = at(props, 'defaultTags');
  const parsed: unknown = typeof value === 'string' ? JSON.parse(value) : value;
  return at(parsed, 'tags');
}
