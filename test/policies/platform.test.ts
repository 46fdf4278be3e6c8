import { functionRuntimes } from '../../policies/platform/function-runtimes.ts';
import { immutableImages } from '../../policies/platform/immutable-images.ts';
import { regions } from '../../policies/platform/regions.ts';
import { lambda, provider, resource, table, testCases, unknownText } from './fixtures.ts';

const [here, away, unread] = [
  provider(),
  provider({ region: 'ap-south-1' }),
  provider({ region: unknownText }),
];
testCases({
  policy: regions,
  passes: {
    'a provider of an allowed one': [here, resource(table, {}, { provider: here })],
    'what is no resource of AWS': resource('kubernetes:core/v1:Namespace', {}),
  },
  fails: {
    'a provider elsewhere': [away, /aws stands in ap-south-1, where dev may keep no data/],
    'a resource elsewhere': [
      [here, resource(table, { region: 'eu-central-1' }, { provider: here })],
      /thing stands in eu-central-1/,
    ],
    'one that a preview does not know': [unread, /literal region/],
  },
});
testCases({
  policy: functionRuntimes,
  passes: {
    'Node 24': resource(lambda, { runtime: 'nodejs24.x' }),
    'an image': resource(lambda, { packageType: 'Image' }),
  },
  fails: {
    'an old one': [resource(lambda, { runtime: 'nodejs18.x' }), /nodejs18.x; take nodejs22.x or nodejs24.x/],
    'one that a preview does not know': [resource(lambda, { runtime: unknownText }), /not literal/],
  },
});
const repository = (imageTagMutability?: string) =>
  resource('aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate', { imageTagMutability });
testCases({
  policy: immutableImages,
  passes: { 'all tags': repository('IMMUTABLE'), 'all but latest': repository('IMMUTABLE_WITH_EXCLUSION') },
  fails: {
    'the default': [repository(), /imageTagMutability/],
    'mutable ones': [repository('MUTABLE'), /imageTagMutability/],
  },
});
