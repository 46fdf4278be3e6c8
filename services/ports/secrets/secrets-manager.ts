import {
  GetSecretValueCommand,
  PutSecretValueCommand,
  ResourceExistsException,
  ResourceNotFoundException,
  SecretsManagerClient,
  type SecretsManagerClientConfig,
} from '@aws-sdk/client-secrets-manager';
import type { Secrets } from './port.ts';

/**
 * The id of a secret's first version. Secrets Manager takes a version's id once: with the same text again it does
 * nothing, with another it refuses (API reference, PutSecretValue, "ClientRequestToken"). So it decides who was first.
 */
const firstVersion = '00000000-0000-4000-8000-000000000001';

/** @param options region, endpoint and credentials. @default the SDK's own */
export function createSecretsManager(options: SecretsManagerClientConfig = {}): Secrets & { close(): void } {
  const client = new SecretsManagerClient({ maxAttempts: 5, ...options });

  async function get(SecretId: string): Promise<string | undefined> {
    try {
      const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId }));
      return SecretString;
    } catch (error) {
      // The same error for a secret that is not there, and for one that is and has no version yet.
      if (error instanceof ResourceNotFoundException && /staging label/i.test(error.message))
        return undefined;
      throw error;
    }
  }

  return {
    get,
    async putFirst(SecretId, SecretString) {
      const first = { SecretId, SecretString, ClientRequestToken: firstVersion };
      try {
        await client.send(new PutSecretValueCommand(first));
      } catch (error) {
        if (!(error instanceof ResourceExistsException)) throw error;
      }
      const text = await get(SecretId);
      if (text === undefined) throw new Error(`${SecretId} has no text although one was put`);
      return text;
    },
    close: () => client.destroy(),
  };
}
