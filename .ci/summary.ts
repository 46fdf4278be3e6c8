import { readFileSync } from 'node:fs';

/** Prints the counts of the last `npm test` as the last line of CI; with REQUIRE_ALL=1 a skipped test is a failure. */
const report = JSON.parse(readFileSync('.cache/test-report.json', 'utf8')) as {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: { assertionResults: { status: string; fullName: string }[] }[];
};
const skipped = report.numPendingTests + report.numTodoTests;
if (process.env.REQUIRE_ALL === '1' && skipped > 0) {
  const names = report.testResults.flatMap(({ assertionResults }) =>
    assertionResults
      .filter(({ status }) => status !== 'passed' && status !== 'failed')
      .map(({ fullName }) => fullName),
  );
  console.error(`REQUIRE_ALL=1, but ${skipped} tests did not run:\n  ${names.join('\n  ')}`);
  process.exitCode = 1;
}
console.log(
  `${report.numPassedTests} passed, ${report.numFailedTests} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`,
);
