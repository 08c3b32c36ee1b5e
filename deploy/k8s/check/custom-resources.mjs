// Reads objects as JSON from standard input, checks those of the kinds below against the schemas of the packages in the
// folder that is the first argument, prints one line per fault. Part of `make check-manifests`.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const PACKAGES = {
  "cert-manager.io/v1": "cert-manager",
  "external-secrets.io/v1": "external-secrets",
  "keda.sh/v1alpha1": "keda",
  "monitoring.coreos.com/v1": "prometheus-operator",
  "postgresql.cnpg.io/v1": "cloudnative-pg",
};

const modules = resolve(process.argv[2], "node_modules", "@kubernetes-models");
let faults = 0;
for (const { file, object } of JSON.parse(readFileSync(0, "utf8"))) {
  const name = PACKAGES[object.apiVersion];
  if (name === undefined) continue;
  const where = join(modules, name, object.apiVersion, "index.js");
  const kinds = await import(pathToFileURL(where));
  try {
    new kinds[object.kind](object).validate();
  } catch (error) {
    faults += 1;
    console.log(`${file}: ${object.kind} ${object.metadata.name}: ${error.message}`);
  }
}
process.exit(faults === 0 ? 0 : 1);
