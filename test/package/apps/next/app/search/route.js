import { search } from "../../search.mjs";

export const dynamic = "force-dynamic";

export async function GET() {
  return Response.json(await search());
}
