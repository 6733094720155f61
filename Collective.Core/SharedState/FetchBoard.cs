using Collective.Kernels;
using Collective.Protocol;

namespace Collective.Sharing;

/// <summary>
/// Decides who is asked for what next. First a tensor's digests from one holder, checked against the elected hash; then the blocks that differ, from all holders,
/// each block verified alone. What a lost connection owed is asked for elsewhere; who has nothing to do asks again for what is overdue. Does no IO and takes no lock: the fetcher holds one.
/// </summary>
internal sealed class FetchBoard
{
    private readonly IReadOnlyList<FetchTarget> _targets;
    private readonly IReadOnlyList<IReadOnlyList<ushort>> _holderSets;
    private readonly int _blocksPerRequest;

    // By holder: the sets it is in, those with few holders first; and what only it is to be asked for.
    private readonly int[][] _setsOf;
    private readonly Queue<FetchTask>[] _bound;
    private readonly bool[] _gone;

    // By holder set.
    private readonly Queue<FetchTarget>[] _untouched;
    private readonly Queue<FetchTask>[] _blocks;
    private readonly int[] _missing;

    private readonly LinkedList<FetchTask> _asked = new();
    private int _targetsMissing;

    public FetchBoard(IReadOnlyList<FetchTarget> targets, IReadOnlyList<IReadOnlyList<ushort>> holderSets, int holders, int blocksPerRequest)
    {
        _targets = targets;
        _holderSets = holderSets;
        _blocksPerRequest = blocksPerRequest;
        _gone = new bool[holders];
        _bound = Fill(holders, () => new Queue<FetchTask>());
        _untouched = Fill(holderSets.Count, () => new Queue<FetchTarget>());
        _blocks = Fill(holderSets.Count, () => new Queue<FetchTask>());
        _missing = new int[holderSets.Count];
        _setsOf = new int[holders][];
        for (var h = 0; h < holders; h++)
        {
            _setsOf[h] = [.. Enumerable.Range(0, holderSets.Count).Where(s => holderSets[s].Contains((ushort)h)).OrderBy(s => holderSets[s].Count)];
        }

        foreach (var target in targets)
        {
            BytesTotal += target.Tensor.Bytes;
            if (target.Tensor.BlockCount == 0)
            {
                target.Done = true;
                continue;
            }

            _targetsMissing++;
            _missing[target.HolderSet]++;
            _untouched[target.HolderSet].Enqueue(target);
        }

        CheckHolders();
    }

    /// <summary>Everything is here and verified.</summary>
    public bool Completed => _targetsMissing == 0;

    /// <summary>Why it cannot be completed any more.</summary>
    public string? Failure { get; private set; }

    /// <summary>Verified bytes.</summary>
    public long BytesDone { get; private set; }

    /// <summary>Bytes to fetch, as far as known: a tensor counts whole until its digests tell which blocks differ.</summary>
    public long BytesTotal { get; private set; }

    public bool IsGone(int holder) => _gone[holder];

    /// <summary>Whether a holder has anything that is still missing.</summary>
    public bool IsOfUse(int holder) => !_gone[holder] && _setsOf[holder].Any(s => _missing[s] > 0);

    /// <summary>Whether something that is missing can only be had here: none of those <paramref name="inUse"/> has it.</summary>
    public bool Needs(int holder, Func<int, bool> inUse) => _setsOf[holder].Any(s => _missing[s] > 0 && !_holderSets[s].Any(h => inUse(h)));

    /// <summary>The next thing to ask a holder for; null when there is nothing now. <paramref name="overdueMs"/>: the age at which an unanswered request is made again here.</summary>
    public FetchTask? Take(int holder, long nowMs, long overdueMs)
    {
        if (_gone[holder] || Completed || Failure is not null)
        {
            return null;
        }

        var task = NextNew(holder) ?? NextOverdue(holder, nowMs, overdueMs);
        if (task is null)
        {
            return null;
        }

        if (task.Askers++ == 0)
        {
            task.Holder = holder;
            task.AskedMs = nowMs;
            _asked.AddLast(task);
        }

        return task;
    }

    /// <summary>Digests have come; false when they do not match the elected hash: the holder lies.</summary>
    /// <param name="task">What they answer.</param>
    /// <param name="theirs">The digests and the first bytes of its blocks.</param>
    /// <param name="comparison">To be made next, when the tensor's last digests have come; <see cref="Cut"/> takes the result.</param>
    public bool DeliverDigests(FetchTask task, in BlockDigests theirs, out DigestComparison? comparison)
    {
        comparison = null;
        Answered(task);
        var target = task.Target;
        if (task.IsStale || target.DigestsKnown)
        {
            return true;
        }

        theirs.Digests.CopyTo(target.Digests.AsSpan((int)(task.FirstBlock * TreeHash.DigestBytes)));
        theirs.Heads.CopyTo(target.Heads.AsSpan((int)(task.FirstBlock * BlockDigests.HeadBytes)));
        target.DigestsMissing -= task.Blocks;
        if (target.DigestsMissing > 0)
        {
            return true;
        }

        if (!target.Tensor.MayDiffer && TreeHash.Root(target.Tensor.Bytes, target.Digests) != target.Hash.Value)
        {
            return false;
        }

        target.DigestsKnown = true;
        comparison = new DigestComparison(target, target.Round, new BlockDigests(target.Digests, target.Heads));
        return true;
    }

    /// <summary>A comparison was made: cuts what was not found into requests.</summary>
    public void Cut(DigestComparison comparison, bool[] found)
    {
        var target = comparison.Target;
        if (comparison.Round != target.Round || target.Done)
        {
            return; // Its source has gone meanwhile, and it begins again.
        }

        var tensor = target.Tensor;
        var queue = tensor.MayDiffer ? _bound[target.Source] : _blocks[target.HolderSet];
        BytesTotal -= tensor.Bytes;
        for (long block = 0; block < tensor.BlockCount;)
        {
            var blocks = 0;
            while (blocks < _blocksPerRequest && block + blocks < tensor.BlockCount && !found[block + blocks])
            {
                blocks++;
            }

            if (blocks > 0)
            {
                var part = new FetchTask(target, StateRequestKind.Blocks, block, blocks);
                target.Parts.Add(part);
                target.BlocksMissing += blocks;
                BytesTotal += part.Bytes;
                queue.Enqueue(part);
            }

            block += Math.Max(blocks, 1);
        }

        if (target.BlocksMissing == 0)
        {
            Finish(target);
        }
    }

    /// <summary>Verified blocks have come; false when they are not needed any more, and their memory neither.</summary>
    public bool DeliverBlocks(FetchTask task, nint staged)
    {
        Answered(task);
        var target = task.Target;
        if (task.IsStale || task.Staged != 0)
        {
            return false;
        }

        task.Staged = staged;
        BytesDone += task.Bytes;
        target.BlocksMissing -= task.Blocks;
        if (target.BlocksMissing == 0)
        {
            Finish(target);
        }

        return true;
    }

    /// <summary>A connection ended before it answered.</summary>
    public void Unanswered(FetchTask task)
    {
        Answered(task);
        if (task.IsStale || task.Staged != 0 || task.Askers > 0)
        {
            return;
        }

        var target = task.Target;
        if (task.Kind == StateRequestKind.Digests || target.Tensor.MayDiffer)
        {
            _bound[target.Source].Enqueue(task);
        }
        else
        {
            _blocks[target.HolderSet].Enqueue(task);
        }
    }

    /// <summary>A holder is not to be asked any more: what only it was asked for starts again elsewhere.</summary>
    public void HolderGone(int holder)
    {
        if (_gone[holder])
        {
            return;
        }

        _gone[holder] = true;
        foreach (var target in _targets.Where(t => t.Source == holder && !t.Done && (!t.DigestsKnown || t.Tensor.MayDiffer)))
        {
            BeginAnew(target);
        }

        _bound[holder].Clear();
        CheckHolders();
    }

    /// <summary>All parts of all tensors, for who copies them to where they belong.</summary>
    public IEnumerable<FetchTask> Staged => _targets.SelectMany(t => t.Parts).Where(p => p.Staged != 0);

    public IEnumerable<FetchTarget> Targets => _targets;

    private FetchTask? NextNew(int holder)
    {
        if (NextOf(_bound[holder]) is { } bound)
        {
            return bound;
        }

        foreach (var set in _setsOf[holder])
        {
            if (_untouched[set].TryDequeue(out var target))
            {
                AskForDigests(target, holder);
                return _bound[holder].Dequeue();
            }
        }

        foreach (var set in _setsOf[holder])
        {
            if (NextOf(_blocks[set]) is { } blocks)
            {
                return blocks;
            }
        }

        return null;
    }

    private static FetchTask? NextOf(Queue<FetchTask> queue)
    {
        while (queue.TryDequeue(out var task))
        {
            if (!task.IsStale && task.Staged == 0)
            {
                return task;
            }
        }

        return null;
    }

    /// <summary>The oldest request that another holder has not answered for long; digests are then asked for from the start.</summary>
    private FetchTask? NextOverdue(int holder, long nowMs, long overdueMs)
    {
        foreach (var task in _asked)
        {
            if (nowMs - task.AskedMs < overdueMs)
            {
                return null; // The later ones are younger.
            }

            var target = task.Target;
            if (task.Holder == holder || task.Askers > 1 || task.IsStale || target.Tensor.MayDiffer || !_holderSets[target.HolderSet].Contains((ushort)holder))
            {
                continue;
            }

            if (task.Kind == StateRequestKind.Blocks)
            {
                return task;
            }

            Restart(target);
            AskForDigests(target, holder);
            return _bound[holder].Dequeue();
        }

        return null;
    }

    /// <summary>Leaves the digests' first request at the end of what the holder is to be asked for; that is empty when this is called.</summary>
    private void AskForDigests(FetchTarget target, int holder)
    {
        target.Source = holder;
        target.Digests = GC.AllocateUninitializedArray<byte>((int)(target.Tensor.BlockCount * TreeHash.DigestBytes));
        target.Heads = GC.AllocateUninitializedArray<byte>((int)(target.Tensor.BlockCount * BlockDigests.HeadBytes));
        target.DigestsMissing = target.Tensor.BlockCount;
        for (long first = 0; first < target.Tensor.BlockCount; first += Limits.StateDigestsPerRequestMax)
        {
            var blocks = (int)Math.Min(Limits.StateDigestsPerRequestMax, target.Tensor.BlockCount - first);
            _bound[holder].Enqueue(new FetchTask(target, StateRequestKind.Digests, first, blocks));
        }
    }

    private void Finish(FetchTarget target)
    {
        target.Done = true;
        (target.Digests, target.Heads) = ([], []);
        _targetsMissing--;
        _missing[target.HolderSet]--;
    }

    private void BeginAnew(FetchTarget target)
    {
        Restart(target);
        _untouched[target.HolderSet].Enqueue(target);
    }

    /// <summary>Forgets what its source has given.</summary>
    private void Restart(FetchTarget target)
    {
        if (target.DigestsKnown)
        {
            BytesTotal += target.Tensor.Bytes - target.Parts.Sum(p => (long)p.Bytes);
            BytesDone -= target.Parts.Where(p => p.Staged != 0).Sum(p => (long)p.Bytes);
        }

        target.Round++;
        target.Source = -1;
        target.DigestsKnown = false;
        target.BlocksMissing = 0;
        target.Parts.Clear();
    }

    private void Answered(FetchTask task)
    {
        if (--task.Askers == 0)
        {
            _asked.Remove(task);
        }
    }

    private void CheckHolders()
    {
        var deserted = _holderSets.Select(set => set.All(h => _gone[h])).ToArray();
        if (Failure is null && _targets.FirstOrDefault(t => !t.Done && deserted[t.HolderSet]) is { } orphan)
        {
            Failure = $"no holder of \"{StateEntries.Shorten(orphan.Tensor.Key)}\" is left that gives its elected content";
        }
    }

    private static T[] Fill<T>(int count, Func<T> make) => [.. Enumerable.Range(0, count).Select(_ => make())];
}
