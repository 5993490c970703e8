// The API's nouns, under their own names.
import type { components } from "./schema";

type Schemas = components["schemas"];
export type State = Schemas["State"];
export type Node = Schemas["Node"];
export type Point = Schemas["Point"];
export type Progress = Schemas["Progress"];
export type Told = Schemas["Told"];
export type Report = Schemas["Report"];
export type Missed = Schemas["Missed"];
export type Page = Schemas["Page"];
export type Money = Schemas["Money"];
export type Sample = Schemas["Sample"];
export type Step = Schemas["Step"];
export type Limit = Schemas["Limit"];
export type Line = Schemas["Line"];
