import { z } from 'zod';
import type { AwsCall } from './aws-calls.ts';

const oneOrMore = z.union([z.string(), z.array(z.string())]).transform((value) => [value].flat());

const statementSchema = z.object({
  Sid: z.string().optional(),
  Effect: z.enum(['Allow', 'Deny']),
  Action: oneOrMore,
  Resource: oneOrMore,
  Condition: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
});
/** A statement of a role's policy, with its lists. */
export type RoleStatement = z.infer<typeof statementSchema>;

const documentSchema = z.object({ Statement: z.array(statementSchema) });

/** The statements of a policy document. */
export function statementsOf(document: string): readonly RoleStatement[] {
  return documentSchema.parse(JSON.parse(document)).Statement;
}

/**
 * The statement that allows a call; undefined where none does, or one denies it. As AWS evaluates identity policies:
 * `*` is any text and `?` any letter, actions in any case. Conditions are not looked at: a test says which there are.
 */
export function allowing(statements: readonly RoleStatement[], call: AwsCall): RoleStatement | undefined {
  const about = statements.filter(
    ({ Action, Resource }) =>
      Action.some((pattern) => matches(pattern.toLowerCase(), call.action.toLowerCase())) &&
      Resource.some((pattern) => matches(pattern, call.resource)),
  );
  return about.some(({ Effect }) => Effect === 'Deny') ? undefined : about[0];
}

/** Whether a text is what a pattern of a policy says. */
export function matches(pattern: string, text: string): boolean {
  const literal = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${literal.replace(/\*/g, '.*').replace(/\?/g, '.')}$`, 's').test(text);
}
