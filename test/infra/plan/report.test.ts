import { beforeAll, describe, expect, test } from 'vitest';
import { budgetNote } from '../../../infra/plan/budget-note.ts';
import { diffPlans } from '../../../infra/plan/diff.ts';
import { makePlan, type Plan, type PolicyVerdict } from '../../../infra/plan/plan.ts';
import { linesInText, resourcesInText } from '../../../infra/plan/report/details.ts';
import { differenceInText } from '../../../infra/plan/report/difference.ts';
import { counted, percent, quantity, signedUsd, unitUsd, usd } from '../../../infra/plan/report/figures.ts';
import { planAsPage } from '../../../infra/plan/report/page.ts';
import { type Paint, planInText } from '../../../infra/plan/report/terminal.ts';
import { rowsOf } from '../../../infra/plan/rows.ts';
import { componentsOf } from '../../../infra/plan/tree.ts';
import { configOf, fixtureProgram, root } from './fixture.ts';

const plain: Paint = {
  bold: (text) => text,
  dim: (text) => text,
  good: (text) => text,
  bad: (text) => text,
  warn: (text) => text,
};
const fails: PolicyVerdict = {
  policy: 'no-wildcard-actions',
  description: 'No statement allows all actions.',
  enforcement: 'mandatory',
  verdict: 'fail',
  violations: [
    { urn: 'urn:pulumi:dev::mimeo::aws:iam/role:Role::api-role', message: 'allows <script>"all"</script>' },
  ],
};
const passes: PolicyVerdict = { ...fails, policy: 'logs-end', verdict: 'pass', violations: [] };

let dev: Plan;
let prod: Plan;
beforeAll(async () => {
  const sources = { program: fixtureProgram, evaluate: () => [passes, fails] };
  dev = await makePlan('dev', root, sources);
  prod = await makePlan('prod', root, sources);
});

test.each([
  [
    { stopAtBudget: false },
    'The budget sees $0 until mimeo:environment is an active cost tag of the account',
  ],
  [{ stopAtBudget: true }, 'The budget sees $0, and GPU tiers are not stopped at it until mimeo:environment'],
] as const)('a plan of %o says what its budget needs to see anything', (settings, words) => {
  const note = budgetNote(configOf({ guardrails: { monthlyBudgetUsd: 500, ...settings } }));
  const plan = { ...dev, budgetNote: note };

  expect(planInText(plan, plain)).toContain(words);
  expect(planAsPage(plan)).toContain(words);
});

test('a plan of a stack that activates cost tags has no such words', () => {
  const guardrails = { monthlyBudgetUsd: 500, activateCostTags: true };

  expect(budgetNote(configOf({ guardrails }))).toBeUndefined();
});

describe('a plan in a terminal', () => {
  test('fits on one screen, and has what a person must grasp', () => {
    const text = planInText(dev, plain);
    const lines = text.split('\n');

    expect(lines.length).toBeLessThan(55);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(121);
    for (const part of ['idle    $146.06', 'peak', 'What costs most', 'g4dn.xlarge, on demand']) {
      expect(text).toContain(part);
    }
    expect(text).toMatch(/gpu-t4 +0 to 1 g4dn\.xlarge +\$0\.526 +146 µ\$ +225 µ\$ +35 % +15\.6 busy hours/);
    expect(text).toMatch(/gpu-a100-small +off: p4d\.24xlarge of 8 GPUs/);
    expect(text).toContain('gpu-a100-small comes 8 GPUs at a time');
  });

  test('has the ten dearest lines, and the sum of the others', () => {
    const rows = rowsOf(dev.lines);
    const text = planInText(dev, plain);

    expect(text).toContain(`${rows.length - 10} more`);
    const others = rows.slice(10).reduce((sum, { monthlyUsd }) => sum + monthlyUsd.peak, 0);
    expect(text).toContain(usd(others));
  });

  test('says which policies forbid it, and of what', () => {
    const text = planInText(dev, plain);

    expect(text).toContain('1 of 2 policies forbid this');
    expect(text).toContain('✗ no-wildcard-actions (mandatory)');
    expect(text).toContain('api-role: allows');
    expect(planInText({ ...dev, policies: [passes] }, plain)).toContain('1 of 1 policies pass');
  });

  test('names what is not priced', () => {
    const notPriced = [
      { resource: 'urn', type: 'aws:rds/instance:Instance', name: 'db', why: 'no price is known' },
    ];

    expect(planInText({ ...dev, notPriced }, plain)).toContain(
      'db (aws:rds/instance:Instance): no price is known',
    );
  });

  test('has every line with its source, and every resource, where that is asked for', () => {
    const lines = linesInText(dev, plain);
    const resources = resourcesInText(dev, plain);

    for (const { what, source } of dev.lines) {
      expect(lines).toContain(what);
      expect(lines).toContain(source);
    }
    for (const { name } of dev.resources.filter(({ isCustom }) => isCustom))
      expect(resources).toContain(name);
  });

  test('compared with another shows what costs other and what is only in one', () => {
    const text = differenceInText(diffPlans(dev, prod), plain);

    expect(text).toContain('dev → prod');
    expect(text).toMatch(/network +NAT gateways +– +\$98\.55 +– +\$98\.55/);
    expect(text).toContain('Only in prod');
    expect(text).toMatch(/\+ network +network-flow +aws ec2 FlowLog/);
    expect(differenceInText(diffPlans(dev, dev), plain)).toContain('No cost differs.');
  });
});

describe('a plan as a page', () => {
  test('needs nothing else: no script, no request', () => {
    const page = planAsPage(dev);

    expect(page).not.toMatch(/<script|<link|<img|<iframe|@import|url\((?!#)|\son\w+=/i);
    expect(
      [...page.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, to]) => to).filter((to) => !to?.startsWith('#')),
    ).toEqual([]);
    expect(page).toContain("default-src 'none'");
    expect(page).toContain('prefers-color-scheme: dark');
  });

  test('escapes whatever comes from the plan', () => {
    const evil = '"><script>alert(1)</script>';
    const page = planAsPage({
      ...dev,
      environment: evil,
      region: evil,
      tiersOff: [{ sku: evil, why: evil, would: undefined }],
      notPriced: [{ resource: evil, type: evil, name: evil, why: evil }],
      lines: dev.lines.map((line) => ({
        ...line,
        what: evil,
        component: evil,
        source: evil,
        assumption: evil,
      })),
      resources: dev.resources.map((one) => ({ ...one, name: evil, component: evil })),
      policies: [{ ...fails, policy: evil, description: evil, violations: [{ urn: evil, message: evil }] }],
    });

    expect(page).not.toContain('<script');
    expect(page).toContain('&lt;script&gt;alert(1)');
  });

  test('has each component with its cost on the picture', () => {
    const [picture = ''] = /<svg[\s\S]*?<\/svg>/.exec(planAsPage(prod)) ?? [];

    for (const { name, monthlyUsd } of componentsOf(prod.resources)) {
      expect(picture).toContain(`class="name">${name}</text>`);
      expect(picture).toContain(usd(monthlyUsd.peak));
    }
    expect(picture.match(/class="plane"/g)).toHaveLength(3);
  });

  test('has every source once, and each line points at one', () => {
    const page = planAsPage(dev);
    const ids = [...page.matchAll(/id="(source-\d+)"/g)].map(([, id]) => id);

    expect(new Set(ids).size).toBe(ids.length);
    for (const [, id] of page.matchAll(/href="#(source-\d+)"/g)) expect(ids).toContain(id);
    expect(page.match(/href="#source-/g)).toHaveLength(rowsOf(dev.lines).length);
  });
});

test.each([
  [usd(0), '–'],
  [usd(0.001), '<$0.01'],
  [usd(0.4), '$0.40'],
  [usd(999.6), '$1,000'],
  [usd(17_540.4), '$17,540'],
  [signedUsd(12), '+$12.00'],
  [signedUsd(-3.1), '−$3.10'],
  [signedUsd(0), '–'],
  [unitUsd(0.1), '$0.10'],
  [unitUsd(2.24208), '$2.24208'],
  [unitUsd(0.625e-6), '$0.625 per million'],
  [quantity(13_140_000_000), '13.1 billion'],
  [quantity(1460), '1,460'],
  [counted(1, 'key'), '1 key'],
  [counted(2, 'key'), '2 keys'],
  [counted(20, 'GB'), '20 GB'],
  [counted(500, 'MB/s'), '500 MB/s'],
  [percent(-25.4), '−25 %'],
])('figures are written for people: %s', (written, expected) => {
  expect(written).toBe(expected);
});
