using Collective.Kernels;
using Collective.Protocol;
using Collective.Sharing;
using NUnit.Framework;

namespace Collective.Core.Tests.SharedState;

/// <summary>The board alone, with holders that answer in any order, break off, lie and go.</summary>
[TestFixture]
internal sealed class FetchBoardTests
{
    private const int Block = TreeHash.BlockBytes;
    private const long NotYet = 1_000_000;

    // Its memory lives as long as it does.
    private TestTensor? _mine;

    /// <summary>
    /// Whatever happens, in the end every tensor with an honest holder left is complete, each of its blocks staged exactly once, and progress is at its total; else the failure names a tensor.
    /// </summary>
    [Test]
    public void Any_order_of_events_ends_right([Range(1, 300)] int seed)
    {
        var random = new Random(seed);
        var holders = random.Next(1, 5);
        var sets = Enumerable.Range(0, random.Next(1, 4)).Select(_ => RandomSet(random, holders)).ToArray();
        var elected = new List<TestTensor>();
        var mines = new List<TestTensor>(); // Their memory lives as long as they do.
        var targets = new List<FetchTarget>();
        for (var i = 0; i < random.Next(1, 6); i++)
        {
            var content = new byte[random.Next(0, 9 * Block)];
            random.NextBytes(content);
            var mayDiffer = random.Next(4) == 0;
            var theirs = new TestTensor($"t{i}", content, mayDiffer);
            var mine = new TestTensor($"t{i}", content, mayDiffer);
            for (var b = random.Next(2); b < mine.Tensor.BlockCount; b += random.Next(1, 4))
            {
                mine.Content[b * Block] ^= 1;
            }

            elected.Add(theirs);
            mines.Add(mine);
            targets.Add(new FetchTarget(mine.Hashed(), StateHasher.HashOf(theirs.Hashed()), random.Next(sets.Length)));
        }

        var board = new FetchBoard(targets, sets, holders, random.Next(1, 4));
        Play(random, board, elected, holders);
        if (board.Failure is { } failure)
        {
            var orphan = targets.Single(t => failure.Contains($"\"{t.Tensor.Key}\"", StringComparison.Ordinal));
            Assert.That(sets[orphan.HolderSet].All(h => board.IsGone(h)));
            GC.KeepAlive(mines);
            return;
        }

        Assert.That(board.Completed);
        Assert.That(board.BytesDone, Is.EqualTo(board.BytesTotal));
        foreach (var (target, theirs) in targets.Zip(elected))
        {
            var staged = target.Parts.SelectMany(p => Enumerable.Range(0, p.Blocks).Select(b => p.FirstBlock + b)).ToArray();
            var expected = Enumerable.Range(0, (int)target.Tensor.BlockCount).Select(b => (long)b)
                .Where(b => target.Tensor.MayDiffer || !target.Tensor.Blocks(b, 1).SequenceEqual(theirs.Tensor.Blocks(b, 1)));
            Assert.That(staged, Is.EqualTo(expected), target.Tensor.Key);
            Assert.That(target.Parts.All(p => p.Staged != 0));
        }

        GC.KeepAlive(mines);
    }

    [Test]
    public void Blocks_are_asked_from_all_holders_and_each_once()
    {
        var (board, theirs) = OneTensor(blocks: 8, holders: 2);
        Answer(board, board.Take(0, 0, NotYet)!, theirs);
        var asked = new List<(int Holder, long Block)>();
        for (var turn = 0; board.Take(turn % 2, 0, NotYet) is { } task; turn++)
        {
            asked.Add((turn % 2, task.FirstBlock));
        }

        Assert.That(asked.Select(a => a.Block), Is.EqualTo(Enumerable.Range(0, 8)));
        Assert.That(asked.Select(a => a.Holder).Distinct().Count(), Is.EqualTo(2));
    }

    [Test]
    public void What_is_overdue_is_asked_from_one_other_holder_only()
    {
        var (board, theirs) = OneTensor(blocks: 1, holders: 3);
        Answer(board, board.Take(0, 0, 1000)!, theirs);
        var task = board.Take(0, nowMs: 10, overdueMs: 1000);
        Assert.That(board.Take(1, nowMs: 1009, overdueMs: 1000), Is.Null, "not overdue");
        Assert.That(board.Take(0, nowMs: 1010, overdueMs: 1000), Is.Null, "the same holder");
        Assert.That(board.Take(1, nowMs: 1010, overdueMs: 1000), Is.SameAs(task));
        Assert.That(board.Take(2, nowMs: 1010, overdueMs: 1000), Is.Null, "asked twice already");
        Assert.That(board.DeliverBlocks(task!, 1));
        Assert.That(board.DeliverBlocks(task!, 2), Is.False, "the second answer is not needed");
        Assert.That(board.Completed);
    }

    [Test]
    public void Overdue_digests_are_asked_anew_and_the_late_ones_mean_nothing()
    {
        var (board, theirs) = OneTensor(blocks: 3, holders: 2);
        var late = board.Take(0, nowMs: 0, overdueMs: 1000)!;
        var anew = board.Take(1, nowMs: 1000, overdueMs: 1000)!;
        Assert.That(anew, Is.Not.SameAs(late));
        Assert.That(anew.Kind, Is.EqualTo(StateRequestKind.Digests));
        Assert.That(board.DeliverDigests(late, Nonsense(3), out _), "wrong, but of an old round: nobody is accused");
        Answer(board, anew, theirs);
        Assert.That(board.Take(0, 1000, NotYet)!.Kind, Is.EqualTo(StateRequestKind.Blocks));
    }

    [Test]
    public void Wrong_digests_are_noticed()
    {
        var (board, _) = OneTensor(blocks: 3, holders: 2);
        Assert.That(board.DeliverDigests(board.Take(0, 0, NotYet)!, Nonsense(3), out _), Is.False);
        board.HolderGone(0);
        Assert.That(board.Take(0, 0, NotYet), Is.Null);
        Assert.That(board.Take(1, 0, NotYet)!.Kind, Is.EqualTo(StateRequestKind.Digests));
        Assert.That(board.Failure, Is.Null);
        board.HolderGone(1);
        Assert.That(board.Failure, Does.Contain("\"t\""));
    }

    private static void Play(Random random, FetchBoard board, List<TestTensor> elected, int holders)
    {
        var asked = new List<(int Holder, FetchTask Task)>();
        var now = 0L;
        var staged = (nint)0;
        var late = new List<DigestComparison>();
        for (var step = 0; step < 100_000 && !board.Completed && board.Failure is null; step++)
        {
            now += random.Next(20);
            var holder = random.Next(holders);
            if (random.Next(2) == 0)
            {
                if (board.Take(holder, now, overdueMs: 200) is { } taken)
                {
                    asked.Add((holder, taken));
                }
            }
            else if (asked.Count > 0)
            {
                var (asker, task) = asked[random.Next(asked.Count)];
                asked.Remove((asker, task));
                switch (random.Next(20))
                {
                    case 0:
                        board.Unanswered(task);
                        break;
                    case 1 when random.Next(4) == 0:
                        board.HolderGone(asker);
                        board.Unanswered(task);
                        break;
                    case 2 when task.Kind == StateRequestKind.Digests:
                        if (!board.DeliverDigests(task, Nonsense(task.Blocks), out var accepted))
                        {
                            board.HolderGone(asker);
                        }
                        else if (accepted is not null)
                        {
                            late.Add(accepted);
                        }

                        break;
                    case 3 when task.Kind == StateRequestKind.Digests:
                        var theirs = elected.Single(t => t.Tensor.Key == task.Target.Tensor.Key).Tensor;
                        Assert.That(board.DeliverDigests(task, BlockDigests.Of(theirs, task.FirstBlock, task.Blocks), out var comparison));
                        if (comparison is not null)
                        {
                            late.Add(comparison);
                        }

                        break;
                    default:
                        Answer(board, task, elected.Single(t => t.Tensor.Key == task.Target.Tensor.Key), ++staged);
                        break;
                }
            }

            // Whoever compares takes its time.
            foreach (var comparison in late.Where(_ => random.Next(10) == 0).ToList())
            {
                late.Remove(comparison);
                Compare(board, comparison);
            }

            Assert.That(board.BytesDone, Is.InRange(0, board.BytesTotal));
        }
    }

    private static BlockDigests Nonsense(int blocks) => new(new byte[blocks * TreeHash.DigestBytes], new byte[blocks * BlockDigests.HeadBytes]);

    private static void Compare(FetchBoard board, DigestComparison comparison)
        => board.Cut(comparison, comparison.Theirs.FoundIn(comparison.Target.Tensor, CancellationToken.None));

    private static void Answer(FetchBoard board, FetchTask task, TestTensor theirs, nint staged = 1)
    {
        if (task.Kind == StateRequestKind.Digests)
        {
            var said = BlockDigests.Of(theirs.Tensor, task.FirstBlock, task.Blocks);
            Assert.That(board.DeliverDigests(task, said, out var comparison));
            if (comparison is not null)
            {
                Compare(board, comparison);
            }
        }
        else
        {
            for (var i = 0; i < task.Blocks; i++)
            {
                Assert.That(task.Target.Tensor.MayDiffer || TreeHash.Matches(theirs.Tensor.Blocks(task.FirstBlock + i, 1), task.DigestOf(i)));
            }

            board.DeliverBlocks(task, staged);
        }
    }

    private static ushort[] RandomSet(Random random, int holders)
    {
        var all = Enumerable.Range(0, holders).Select(h => (ushort)h).ToArray();
        random.Shuffle(all);
        return all[..random.Next(1, holders + 1)];
    }

    private (FetchBoard Board, TestTensor Theirs) OneTensor(int blocks, int holders)
    {
        var theirs = new TestTensor("t", new byte[blocks * Block]);
        var mine = _mine = new TestTensor("t", [.. Enumerable.Repeat((byte)1, blocks * Block)]);
        ushort[] everybody = [.. Enumerable.Range(0, holders).Select(h => (ushort)h)];
        return (new FetchBoard([new FetchTarget(mine.Hashed(), StateHasher.HashOf(theirs.Hashed()), 0)], [everybody], holders, blocksPerRequest: 1), theirs);
    }
}
