import { join } from 'node:path';
import { push } from '../api/routes/versions-push.ts';
import { packFolder } from '../registrar/pack.ts';
import { type LocalPlatform, localAccount } from './app.ts';
import type { LocalEnv } from './env.ts';

const example = 'hello-world';
const exampleFolder = join(import.meta.dirname, '../../examples', example);

/** On the first start, pushes an example and runs it; on every start, says where things are. */
export async function welcome(platform: LocalPlatform, env: LocalEnv): Promise<void> {
  const { url, recovered } = platform;
  if (recovered > 0)
    console.log(`Taking up ${recovered} prediction${recovered === 1 ? '' : 's'} that had not ended.`);
  const first = (await platform.models.get(`${localAccount}/${example}`))?.latestVersion == null;
  if (first) await pushAndRunExample(platform);
  console.log(`\nMimeo is ready on ${url}`);
  if (first) console.log(`\n${pasteLines(url, join(env.MIMEO_HOME, 'token'))}`);
  else console.log(`The token is in ${join(env.MIMEO_HOME, 'token')}. Ctrl-C stops.`);
}

async function pushAndRunExample(platform: LocalPlatform): Promise<void> {
  const name = `${localAccount}/${example}`;
  console.log(`First start: pushing examples/${example} as ${name}`);
  await platform.models
    .create({
      owner: localAccount,
      name: example,
      account: localAccount,
      visibility: 'public',
      hardware: 'cpu',
      description: 'Says hello.',
      githubUrl: null,
      paperUrl: null,
      licenseUrl: null,
      coverImageUrl: null,
      createdAt: Date.now(),
      latestVersion: null,
    })
    .catch(() => undefined);
  const { stream } = await packFolder(exampleFolder);
  const parts = { builder: platform.registrar, models: platform.models, now: Date.now };
  await push(parts, name, stream, ({ message }) => console.log(`  ${message}`));
  console.log(`Running ${name}`);
  const response = await fetch(`${platform.url}/v1/models/${name}/predictions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${platform.token}`,
      'content-type': 'application/json',
      prefer: 'wait',
    },
    body: JSON.stringify({ input: { text: 'world' } }),
  });
  const prediction = (await response.json()) as {
    status: string;
    output: unknown;
    error: string | null;
    metrics: { predict_time?: number; total_time?: number };
  };
  if (prediction.status !== 'succeeded')
    throw new Error(`The first prediction ended as ${prediction.status}: ${prediction.error}`);
  const ms = (seconds = 0) => `${Math.round(seconds * 1000)} ms`;
  const { total_time, predict_time } = prediction.metrics;
  console.log(
    `  ${JSON.stringify(prediction.output)} (${ms(total_time)} with its cold start, of which it ran ${ms(predict_time)})`,
  );
}

function pasteLines(url: string, tokenFile: string): string {
  return `Node (npm install replicate)
  import { readFileSync } from 'node:fs';
  import Replicate from 'replicate';
  const auth = readFileSync('${tokenFile}', 'utf8').trim();
  const replicate = new Replicate({ auth, baseUrl: '${url}/v1' });
  console.log(await replicate.run('local/hello-world', { input: { text: 'Node' } }));

Python (pip install 'replicate<2')
  export REPLICATE_BASE_URL=${url} REPLICATE_API_TOKEN=$(cat ${tokenFile})
  python3 -c "import replicate; print(replicate.run('local/hello-world', input={'text': 'Python'}))"

curl
  curl -s ${url}/v1/models/local/hello-world/predictions -H "Authorization: Bearer $(cat ${tokenFile})" \\
    -H 'Content-Type: application/json' -H 'Prefer: wait' -d '{"input": {"text": "curl"}}'

Your own model: npx mimeo init my-model && npx mimeo push my-model local/my-model
Ctrl-C stops; the next start remembers everything.`;
}
