// How the search orders what it finds: chapters first, the reference of names last, as readers look for ideas.
// The numbers are Sphinx's own; only `score` and the object's share differ.
var Scorer = {
  score: ([page, , , , score]) => score - (page.startsWith("api/") ? 100 : 0) + (page.startsWith("chapters/") ? 5 : 0),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
