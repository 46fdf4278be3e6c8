import { ECRClient, type ECRClientConfig, GetAuthorizationTokenCommand } from '@aws-sdk/client-ecr';
import { AssumeRoleCommand, STSClient, type STSClientConfig } from '@aws-sdk/client-sts';
import { imagePushActions } from '../../core/image-push.ts';
import type { LogIn, RegistryAccess, RegistryLogin } from './port.ts';

/** A session of a role that was assumed by a role lasts an hour at most (STS, role chaining). */
const sessionSeconds = 3600;
/** STS: characters of a session's name. */
const maxSessionNameLength = 64;

export interface EcrAccessOptions {
  /** For both services: region, endpoint. @default the SDK's own */
  readonly client?: ECRClientConfig & STSClientConfig;
  /** The role that may push to every repository under `prefix`; its session is narrowed to one account's. */
  readonly roleArn: string;
  /** What the names of all models' repositories begin with, without a slash at the end. */
  readonly prefix: string;
  /** In place of the address that ECR tells. */
  readonly url?: string;
}

/** Access to ECR by sessions of one role, each narrowed by a policy of its own to one account's repositories. */
export function createEcrAccess(options: EcrAccessOptions): RegistryAccess {
  const { client = {}, roleArn, prefix, url } = options;
  const sts = new STSClient(client);
  const repositoryPrefix = (account: string) => `${prefix}/${account}`;
  return {
    repositoryPrefix,
    async authorize(account) {
      // A * or ? in a policy's resource would stand for the repositories of others.
      if (!/^[a-z0-9._-]+$/.test(account))
        throw new Error(`${account} cannot be part of a repository's name`);
      const region = await sts.config.region();
      const policy = pushPolicy(repositoriesArn({ roleArn, region, prefix: repositoryPrefix(account) }));
      const { Credentials } = await sts.send(
        new AssumeRoleCommand({
          RoleArn: roleArn,
          RoleSessionName: `mimeo-${account}`.slice(0, maxSessionNameLength),
          DurationSeconds: sessionSeconds,
          Policy: JSON.stringify(policy),
        }),
      );
      const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = Credentials ?? {};
      if (!AccessKeyId || !SecretAccessKey) throw new Error('STS gave no credentials for a push');
      const session = new ECRClient({
        ...client,
        credentials: {
          accessKeyId: AccessKeyId,
          secretAccessKey: SecretAccessKey,
          sessionToken: SessionToken,
        },
      });
      try {
        const login = await logIn(session, url);
        // The login is the session's: it dies with it, whatever ECR says.
        const expiresAt = Math.min(login.expiresAt, Expiration?.getTime() ?? Number.POSITIVE_INFINITY);
        return { ...login, expiresAt };
      } finally {
        session.destroy();
      }
    },
  };
}

/**
 * Logins as the process's own role, each used until shortly before its end, or until the registry refuses it: what its
 * role may do can have changed meanwhile.
 */
export function createEcrLogins(
  options: { readonly client?: ECRClientConfig; readonly url?: string; readonly now?: () => number } = {},
): LogIn {
  const { now = Date.now } = options;
  const ecr = new ECRClient(options.client ?? {});
  let login: RegistryLogin | undefined;
  return async (refused) => {
    if (!login || login === refused || login.expiresAt - now() < leastLifeMs)
      login = await logIn(ecr, options.url);
    return login;
  };
}

/** A login with less than this left is not used for another image. */
const leastLifeMs = 5 * 60_000;

async function logIn(client: ECRClient, url: string | undefined): Promise<RegistryLogin> {
  const { authorizationData } = await client.send(new GetAuthorizationTokenCommand({}));
  const { authorizationToken = '', proxyEndpoint = '', expiresAt } = authorizationData?.[0] ?? {};
  const [, username, password] =
    /^([^:]+):(.+)$/s.exec(Buffer.from(authorizationToken, 'base64').toString('utf8')) ?? [];
  if (!username || !password) throw new Error('ECR gave no authorization token that can be read');
  return {
    url: (url ?? proxyEndpoint).replace(/\/+$/, ''),
    username,
    password,
    expiresAt: expiresAt?.getTime() ?? Number.POSITIVE_INFINITY,
  };
}

function repositoriesArn(of: { readonly roleArn: string; readonly region: string; readonly prefix: string }) {
  const [, partition, , , awsAccount] = of.roleArn.split(':');
  return `arn:${partition}:ecr:${of.region}:${awsAccount}:repository/${of.prefix}/*`;
}

/** What `docker push` needs, for one account's repositories. A session can do what its role and this both allow. */
function pushPolicy(repositories: string) {
  return {
    Version: '2012-10-17',
    Statement: [
      // AWS has no narrower form: the login itself is for a registry, what it is good for is told below.
      { Effect: 'Allow', Action: 'ecr:GetAuthorizationToken', Resource: '*' },
      {
        Effect: 'Allow',
        Action: imagePushActions,
        Resource: repositories,
      },
    ],
  };
}
