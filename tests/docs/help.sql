-- What is wrong with insight_help, a line each; nothing where all is well.
\pset tuples_only on
\pset format unaligned
SELECT insight_version() \g /dev/null
SELECT 'no family or no example: ' || h.name FROM insight.help_texts() h WHERE h.family = 'Others' OR h.position < 2000 AND h.body NOT LIKE '%Example:%';
SELECT 'no comment: ' || h.name FROM insight.help_texts() h WHERE COALESCE(h.summary, '') = '';
SELECT 'there is no such function: ' || t.name FROM insight.topics t WHERE t.name NOT IN (SELECT h.name FROM insight.help_texts() h);
SELECT 'the example is of another function: ' || t.name FROM insight.topics t WHERE position(t.name || '(' IN t.example) = 0;
-- Functions that take options tell which; where a list came from a refused option it has more than one word.
SELECT 'no options: ' || p.proname FROM pg_proc p JOIN insight.topics t ON t.name = p.proname
WHERE 'options' = ANY (p.proargnames) AND insight.known_options(t.name) NOT LIKE 'Options%';
SELECT 'train does not know: ' || o FROM unnest(ARRAY['epochs', 'horizon', 'critic_layers', 'min_rows']) o WHERE insight_help('train') !~ ('\m' || o || '\M');
SELECT 'not found as a topic: ' || t FROM unnest(ARRAY['train', 'INSIGHT_TRAIN', 'insight_train()', 'jobs', 'insight.jobs', 'insight.max_memory', 'max_memory']) t
WHERE insight_help(t) LIKE 'There is no topic%';
SELECT 'a view and a function of one name: ' || insight_help('segments') WHERE insight_help('segments') NOT LIKE '%insight_segments(%insight.segments (view)%';
SELECT 'nearest: ' || insight_help('predct') WHERE insight_help('predct') NOT LIKE 'There is no topic "predct". Near it: insight_predict,%';
SELECT 'option: ' || insight_help('epochs') WHERE insight_help('epochs') NOT LIKE '%among the options of insight_train%';
SELECT 'not in the overview: ' || h.name FROM insight.help_texts() h WHERE position(h.name IN insight_help()) = 0;
-- Nothing was stored by asking, and on a read-only server it answers, too.
SELECT 'a job was stored' FROM insight.jobs;
BEGIN READ ONLY;
SELECT 'read-only: ' || insight_help('train') WHERE insight_help('train') NOT LIKE 'insight_train(%';
ROLLBACK;
