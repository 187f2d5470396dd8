// SCIMMY with its Express routers over resources in memory, and a bearer token.
import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";

// The packages are where PEER_MODULES says: a module of Node's new kind does not look there itself.
const required = createRequire(`${process.env.PEER_MODULES}/`);
const express = required("express");
const SCIMMY = required("scimmy");
const routers = required("scimmy-routers");
const SCIMMYRouters = routers.default ?? routers;

function declare(type) {
  const kept = new Map();
  SCIMMY.Resources.declare(type)
    .ingress((resource, data) => {
      const now = new Date().toISOString();
      const id = resource.id ?? randomUUID();
      const before = kept.get(id);
      if (resource.id && !before) throw new SCIMMY.Types.Error(404, null, `no ${id}`);
      const meta = { created: before?.meta.created ?? now, lastModified: now };
      const made = { ...JSON.parse(JSON.stringify(data)), id, meta };
      kept.set(id, made);
      return made;
    })
    .egress((resource) => {
      if (resource.id) {
        const found = kept.get(resource.id);
        if (!found) throw new SCIMMY.Types.Error(404, null, `no ${resource.id}`);
        return found;
      }
      const { filter, constraints } = resource;
      const found = filter ? filter.match([...kept.values()]) : [...kept.values()];
      if (!constraints || constraints.sortBy) return found;
      constraints.totalResults = found.length; // only what is shown is rendered
      const first = (constraints.startIndex ?? 1) - 1;
      return found.slice(first, first + (constraints.count ?? 20));
    })
    .degress((resource) => { // codespell:ignore degress
      kept.delete(resource.id);
    });
}

declare(SCIMMY.Resources.User);
SCIMMY.Resources.User.extend(SCIMMY.Schemas.EnterpriseUser, false);
declare(SCIMMY.Resources.Group);

const app = express();
const handler = (request) => {
  const given = request.header("Authorization");
  if (given !== `Bearer ${process.env.PEER_TOKEN}`) throw new Error("no token");
  return "okta";
};
app.use("/scim/v2", new SCIMMYRouters({ type: "bearer", handler }));
const server = app.listen(Number(process.env.PORT), "127.0.0.1");
server.keepAliveTimeout = 75_000;
