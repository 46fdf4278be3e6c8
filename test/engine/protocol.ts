import { createRequire } from 'node:module';
import type * as grpcTypes from '@grpc/grpc-js';
import type * as pluginMessageTypes from '@pulumi/pulumi/proto/plugin_pb.js';
import type * as providerServiceTypes from '@pulumi/pulumi/proto/provider_grpc_pb.js';
import type * as providerMessageTypes from '@pulumi/pulumi/proto/provider_pb.js';
import type * as resourceServiceTypes from '@pulumi/pulumi/proto/resource_grpc_pb.js';
import type * as resourceMessageTypes from '@pulumi/pulumi/proto/resource_pb.js';
import type * as emptyTypes from 'google-protobuf/google/protobuf/empty_pb.js';
import type * as structTypes from 'google-protobuf/google/protobuf/struct_pb.js';
import type { Properties } from './property-values.ts';

/** Pulumi's own stubs, which are CommonJS and fill their exports as they run: `import` sees no names in them. */
const require = createRequire(import.meta.url);

export const grpc: typeof grpcTypes = require('@grpc/grpc-js');
export const messages: typeof providerMessageTypes = require('@pulumi/pulumi/proto/provider_pb.js');
export const provider: typeof providerServiceTypes = require('@pulumi/pulumi/proto/provider_grpc_pb.js');
export const resourceMessages: typeof resourceMessageTypes = require('@pulumi/pulumi/proto/resource_pb.js');
export const resourceService: typeof resourceServiceTypes = require('@pulumi/pulumi/proto/resource_grpc_pb.js');
export const pluginMessages: typeof pluginMessageTypes = require('@pulumi/pulumi/proto/plugin_pb.js');
export const { Empty }: typeof emptyTypes = require('google-protobuf/google/protobuf/empty_pb.js');
const { Struct }: typeof structTypes = require('google-protobuf/google/protobuf/struct_pb.js');

export type StructMessage = structTypes.Struct;

export function toStruct(properties: Properties): StructMessage {
  // Undefined members have no form in a Struct.
  const json: unknown = JSON.parse(JSON.stringify(properties));
  return Struct.fromJavaScript(json as Parameters<typeof Struct.fromJavaScript>[0]);
}

export function fromStruct(struct: StructMessage | undefined): Properties {
  return struct?.toJavaScript() ?? {};
}
