// Loaded before Pulumi's policy host, by NODE_OPTIONS=--require. The host (cmd/run-policy-pack of @pulumi/pulumi) loads
// ts-node whatever PulumiPolicy.yaml says, and dies on TypeScript 7, which has no API for it. Where it finds no
// `typescript`, it takes the one that it carries; nothing is compiled by that, because main.mjs is no .ts file.
const Module = require('node:module');

const resolve = Module._resolveFilename;
Module._resolveFilename = function (request, parent, ...rest) {
  const isHost = /[\\/]@pulumi[\\/]pulumi[\\/]tsutils\.js$/.test(parent?.filename ?? '');
  if (isHost && request === 'typescript') {
    throw Object.assign(new Error("Cannot find module 'typescript'"), { code: 'MODULE_NOT_FOUND' });
  }
  return resolve.call(this, request, parent, ...rest);
};
