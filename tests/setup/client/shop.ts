// A small shop on the client that openapi-typescript makes of openapi.json: it is compiled, not run.
import createClient, { type Middleware } from "openapi-fetch";

import type { components, paths } from "./api.js";

type Schemas = components["schemas"];

const api = createClient<paths>({ baseUrl: "http://127.0.0.1:8080" });

/** What the API says of everything that goes wrong. */
class Refused extends Error {
  constructor(readonly problem: Schemas["Problem"]) {
    super(`${problem.code}: ${problem.detail}`);
  }
}

export async function signIn(email: string, password: string): Promise<Schemas["UserProfile"]> {
  const { data, error } = await api.POST("/v1/auth/login", { body: { email, password } });
  if (error) throw new Refused(error);
  const bearer: Middleware = {
    onRequest: ({ request }) => request.headers.set("Authorization", `Bearer ${data.access_token}`),
  };
  api.use(bearer);
  return data.user;
}

/** Every product there is, page by page. */
export async function* products(search: string): AsyncGenerator<Schemas["Product"]> {
  let cursor: string | null = null;
  do {
    const query: { search: string; limit: number; cursor?: string } = { search, limit: 100 };
    if (cursor) query.cursor = cursor;
    const { data, error } = await api.GET("/v1/products", { params: { query } });
    if (error) throw new Refused(error);
    yield* data.data;
    cursor = data.next_cursor ?? null;
  } while (cursor);
}

export async function order(product: Schemas["Product"], to: Schemas["Address"]): Promise<Schemas["Order"]> {
  const variant = product.variants[0];
  if (!variant) throw new Error(`${product.name} has no variant`);
  const { data, error, response } = await api.POST("/v1/orders", {
    params: { header: { "Idempotency-Key": crypto.randomUUID() } },
    body: { lines: [{ sku: variant.sku, quantity: 1 }], shipping_address: to, payment_method: "sandbox_ok", currency: "EUR" },
  });
  if (error) throw new Refused(error);
  console.log(`placed ${response.headers.get("Location")}`);
  return data;
}

export async function rename(product: Schemas["Product"], name: string, etag: string): Promise<Schemas["Product"]> {
  const { data, error } = await api.PATCH("/v1/products/{product_id}", {
    params: { path: { product_id: product.id }, header: { "If-Match": etag } },
    body: { name },
  });
  if (error) throw new Refused(error);
  return data;
}

export async function invoice(order: Schemas["Order"]): Promise<Blob> {
  const found = await api.GET("/v1/orders/{id}/invoice", { params: { path: { id: order.id } } });
  if (found.error) throw new Refused(found.error);
  const { data, error } = await api.GET("/v1/invoices/{id}/documents/{format}", {
    params: { path: { id: found.data.id, format: "pdf" } },
    parseAs: "blob",
  });
  if (error) throw new Refused(error);
  return data;
}
