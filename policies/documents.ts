import { z } from 'zod';
import { NotKnown } from './policy.ts';
import { at, isGiven, listAt, notKnown, type PolicedResource } from './resource.ts';

const texts = z
  .union([z.string(), z.array(z.string())])
  .transform((value) => (typeof value === 'string' ? [value] : value));

const statementSchema = z.object({
  Sid: z.string().optional(),
  Effect: z.string(),
  Principal: z.union([z.string(), z.record(z.string(), texts)]).optional(),
  NotPrincipal: z.unknown().optional(),
  Action: texts.optional(),
  NotAction: texts.optional(),
  Resource: texts.optional(),
  NotResource: texts.optional(),
  Condition: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
});

const documentSchema = z.object({
  Statement: z
    .union([statementSchema, z.array(statementSchema)])
    .transform((value) => (Array.isArray(value) ? value : [value])),
});

/** A statement of IAM's policy language, with every list spelt out. */
export type PolicyStatement = z.output<typeof statementSchema>;

/** Which properties of which resources are policies in IAM's language. */
const documentProperties: Readonly<Record<string, readonly string[]>> = {
  'aws:ec2/vpcEndpoint:VpcEndpoint': ['policy'],
  'aws:ecr/registryPolicy:RegistryPolicy': ['policy'],
  'aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate': ['repositoryPolicy'],
  'aws:ecr/repositoryPolicy:RepositoryPolicy': ['policy'],
  'aws:iam/groupPolicy:GroupPolicy': ['policy'],
  'aws:iam/policy:Policy': ['policy'],
  'aws:iam/role:Role': ['assumeRolePolicy'],
  'aws:iam/rolePolicy:RolePolicy': ['policy'],
  'aws:iam/userPolicy:UserPolicy': ['policy'],
  'aws:kms/key:Key': ['policy'],
  'aws:kms/keyPolicy:KeyPolicy': ['policy'],
  'aws:s3/bucketPolicy:BucketPolicy': ['policy'],
  'aws:secretsmanager/secret:Secret': ['policy'],
  'aws:secretsmanager/secretPolicy:SecretPolicy': ['policy'],
  'aws:sns/topic:Topic': ['policy'],
  'aws:sns/topicPolicy:TopicPolicy': ['policy'],
  'aws:sqs/queue:Queue': ['policy'],
  'aws:sqs/queuePolicy:QueuePolicy': ['policy'],
};

/** Types of resources that hold policies in IAM's language. */
export const documentTypes: readonly string[] = Object.keys(documentProperties);

/** Types whose policy is about the one resource that it hangs on, so that its `*` means that resource. */
export const keyPolicyTypes: readonly string[] = ['aws:kms/key:Key', 'aws:kms/keyPolicy:KeyPolicy'];

/**
 * All statements that a resource has.
 * @throws NotKnown where a preview does not know a document
 * @throws Error for a document that is none
 */
export function statementsOf(resource: PolicedResource): readonly PolicyStatement[] {
  const paths: (readonly (string | number)[])[] = (documentProperties[resource.type] ?? []).map(
    (property) => [property],
  );
  if (resource.type === 'aws:iam/role:Role') {
    for (const index of listAt(resource.props, 'inlinePolicies').keys()) {
      paths.push(['inlinePolicies', index, 'policy']);
    }
  }
  return paths.filter((path) => isGiven(resource.props, ...path)).flatMap((path) => parse(resource, path));
}

/** The same, empty where a preview does not know them: the update looks again. */
export function knownStatementsOf(resource: PolicedResource): readonly PolicyStatement[] | undefined {
  try {
    return statementsOf(resource);
  } catch (error) {
    if (error instanceof NotKnown) return undefined;
    throw error;
  }
}

/** Those that allow something. */
export function allowedBy(resource: PolicedResource): readonly PolicyStatement[] {
  return statementsOf(resource).filter(({ Effect }) => Effect === 'Allow');
}

function parse(resource: PolicedResource, path: readonly (string | number)[]): readonly PolicyStatement[] {
  const value = at(resource.props, ...path);
  if (value === notKnown) throw new NotKnown(path);
  const json: unknown = typeof value === 'string' ? readJson(resource, value) : value;
  const document = documentSchema.safeParse(json);
  if (document.success) return document.data.Statement;
  throw new Error(
    `${resource.name}: ${path.join('.')} is no policy of IAM: ${z.prettifyError(document.error)}`,
  );
}

function readJson(resource: PolicedResource, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${resource.name} has a policy that is no JSON`, { cause });
  }
}
