import { search } from "./search.mjs";

console.log(JSON.stringify(await search()));
