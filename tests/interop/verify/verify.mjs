// Verify a sigstore bundle with a public key; exit 0 when it is accepted.
// Usage: node verify.mjs BUNDLE.json KEY.pem
import { readFileSync } from "node:fs";
import { createPublicKey } from "node:crypto";
import { bundleFromJSON } from "@sigstore/bundle";
import { Verifier, toSignedEntity, toTrustMaterial } from "@sigstore/verify";

const [bundlePath, keyPath] = process.argv.slice(2);
const key = createPublicKey(readFileSync(keyPath));
const trust = toTrustMaterial(
  { mediaType: "", tlogs: [], ctlogs: [], certificateAuthorities: [], timestampAuthorities: [] },
  () => ({ publicKey: key, validFor: () => true }),
);
const verifier = new Verifier(trust, {
  tlogThreshold: 0,
  ctlogThreshold: 0,
  timestampThreshold: 0,
});
try {
  const bundle = bundleFromJSON(JSON.parse(readFileSync(bundlePath, "utf8")));
  verifier.verify(toSignedEntity(bundle));
} catch (error) {
  console.error(`${error.code ?? error.name}: ${error.message}`);
  process.exit(1);
}
console.log("accepted");
