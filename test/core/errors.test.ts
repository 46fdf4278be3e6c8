import { expect, test } from 'vitest';
import {
  failureCodes,
  failureKinds,
  type ProblemCode,
  ProblemError,
  problemKinds,
} from '../../services/core/errors.ts';

const problemCodes = Object.keys(problemKinds) as ProblemCode[];

test.each(problemCodes)('%s has a status of an error and a title', (code) => {
  const problem = new ProblemError(code, 'What is wrong.').toProblem();

  expect(problem.status).toBeGreaterThanOrEqual(400);
  expect(problem.status).toBeLessThan(600);
  expect(problem).toMatchObject({ code, detail: 'What is wrong.', title: expect.stringMatching(/^[A-Z]/) });
  expect(problem.type).toContain(code);
});

test.each(failureCodes)('%s says who is at fault', (code) => {
  expect(['input', 'model', 'platform', 'capacity', 'budget', 'user']).toContain(failureKinds[code].fault);
});

test('what only the user can change is not worth sending again unchanged', () => {
  for (const code of failureCodes) {
    const { fault, retryable } = failureKinds[code];
    if (fault === 'input' || fault === 'user' || fault === 'budget') expect(retryable).toBe(false);
    if (fault === 'platform' || fault === 'capacity') expect(retryable).toBe(true);
  }
});
