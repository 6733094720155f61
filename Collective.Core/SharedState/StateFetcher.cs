using Collective.Kernels;
using Collective.Protocol;
using Collective.Transport;

namespace Collective.Sharing;

/// <summary>What a fetch tells; called from the connections' threads.</summary>
internal interface IFetchEvents
{
    /// <summary>Once: everything is staged and verified, or it cannot be.</summary>
    void Fetched(bool ok, string detail);

    void HolderFailed(PeerId holder, bool wrongBytes, string detail);

    /// <summary>A defect of ours.</summary>
    void Failed(Exception exception);
}

/// <summary>How far a fetch is.</summary>
internal readonly record struct FetchProgress(long BytesDone, long BytesTotal, IReadOnlyList<PeerId> Donors);

/// <summary>
/// Fetches what a plan says into staging memory, over several connections to several holders at once, one thread each. Every connection keeps some requests under way,
/// so that the link is never idle; what to ask for next the <see cref="FetchBoard"/> decides.
/// </summary>
internal sealed partial class StateFetcher : IDisposable
{
    private sealed class Holder(Member member)
    {
        public Member Member { get; } = member;

        public List<IByteConnection> Connections { get; } = [];

        public bool HasGiven { get; set; }

        public bool HasThreads { get; set; }
    }

    private readonly IStateConnections _network;
    private readonly IFetchEvents _events;
    private readonly int _connectionsPerHolder;

    // Guards the board and the fields below between the connections' threads, the thread of the sync and the peer's loop.
    private readonly object _gate = new();
    private readonly Holder[] _holders;
    private readonly FetchBoard _board;
    private readonly StagingMemory _staging;
    private int _receiving;
    private int _reporting;
    private long _wireBytes;
    private bool _told;
    private bool _stopped;
    private OutOfMemoryException? _shortage;
    private readonly CancellationTokenSource _stopping = new();

    public StateFetcher(SharedStatePlan plan, IReadOnlyList<StateTensor> tensors, int connectionsPerHolder, IStateConnections network, StagingMemory staging, IFetchEvents events)
    {
        _staging = staging;
        _network = network;
        _events = events;
        _holders = [.. plan.Holders.Select(h => new Holder(h))];
        var atOnce = Math.Clamp(_holders.Length, 1, Limits.StateHoldersAtOnceMax);
        _connectionsPerHolder = Math.Clamp(connectionsPerHolder / atOnce, 1, Limits.StateConnectionsPerHolderMax);
        var targets = plan.Fetches.Select(f => new FetchTarget(tensors[f.Index], f.Hash, f.HolderSet)).ToList();
        var requests = targets.Sum(t => t.Tensor.BlockCount) / (atOnce * _connectionsPerHolder * Limits.StateRequestsInFlightMax);
        _board = new FetchBoard(targets, plan.HolderSets, _holders.Length, (int)Math.Clamp(requests, 1, Limits.StateBlocksAsked));
    }

    /// <summary>Bytes received, with headers, digests and packed blocks.</summary>
    public long WireBytes
    {
        get
        {
            lock (_gate)
            {
                return _wireBytes;
            }
        }
    }

    /// <summary>Begins; ends in <see cref="IFetchEvents.Fetched"/>.</summary>
    public void Start()
    {
        lock (_gate)
        {
            _staging.Expect(_board.BytesTotal);
            UseHolders();
        }

        TellWhenOver();
    }

    public FetchProgress Progress()
    {
        lock (_gate)
        {
            return new FetchProgress(_board.BytesDone, _board.BytesTotal, [.. _holders.Where(h => h.HasGiven).Select(h => h.Member.Id)]);
        }
    }

    /// <summary>A holder is no member any more.</summary>
    public void HolderLost(PeerId id)
    {
        lock (_gate)
        {
            var holder = Array.FindIndex(_holders, h => h.Member.Id == id);
            if (holder < 0)
            {
                return;
            }

            LetGo(holder);
        }

        TellWhenOver();
    }

    /// <summary>Ends what is under way; when it returns no thread touches the staging memory any more, and nothing more is told.</summary>
    public void Stop()
    {
        lock (_gate)
        {
            _stopped = _told = true;
            _stopping.Cancel();
            foreach (var connection in _holders.SelectMany(h => h.Connections))
            {
                connection.Dispose();
            }

            Monitor.PulseAll(_gate);
            while (_receiving > 0)
            {
                Monitor.Wait(_gate);
            }
        }
    }

    /// <summary>Copies what was fetched to where it belongs; after <see cref="Stop"/>.</summary>
    public unsafe void CopyToTensors()
    {
        const int BytesPerThread = 4 * 1024 * 1024;
        var parts = _board.Staged.ToList();
        var threads = Math.Clamp(parts.Sum(p => (long)p.Bytes) / BytesPerThread, 1, Environment.ProcessorCount);
        InParallel.Run("collective-copy", parts.Count, (int)threads, CopyPart, CancellationToken.None);

        void CopyPart(int index)
        {
            var part = parts[index];
            StreamingCopy.Copy(new ReadOnlySpan<byte>((void*)part.Staged, part.Bytes), part.Target.Tensor.Blocks(part.FirstBlock, part.Blocks));
        }
    }

    /// <summary>The keys of which at least one block came; after <see cref="Stop"/>.</summary>
    public IReadOnlyList<string> KeysReceived => [.. _board.Targets.Where(t => t.Parts.Count > 0).Select(t => t.Tensor.Key)];

    /// <summary>Forgets what was fetched; after <see cref="Stop"/>.</summary>
    public void Dispose()
    {
        _staging.Dispose();
        _stopping.Dispose();
    }

    private bool IsOver => _stopped || _board.Completed || _board.Failure is not null;

    /// <summary>Starts connections to holders until enough of them are in use; those that were lost are replaced from the reserve. Every holder set needs one in use.</summary>
    private void UseHolders()
    {
        var inUse = _holders.Count(h => h.HasThreads);
        for (var i = 0; i < _holders.Length && !IsOver; i++)
        {
            if (!_holders[i].HasThreads && _board.IsOfUse(i) && (inUse < Limits.StateHoldersAtOnceMax || _board.Needs(i, h => _holders[h].HasThreads)))
            {
                var needed = inUse == 0 || _board.Needs(i, h => _holders[h].HasThreads);
                _holders[i].HasThreads = TryStart(i, needed);
                inUse += _holders[i].HasThreads ? 1 : 0;
                for (var c = 1; _holders[i].HasThreads && c < _connectionsPerHolder && TryStart(i, needed: false); c++)
                {
                }
            }
        }
    }

    /// <summary>One that is needed and cannot be had is told.</summary>
    private bool TryStart(int holder, bool needed)
    {
        try
        {
            new Thread(() => Run(holder), maxStackSize: 256 * 1024) { IsBackground = true, Name = "collective-fetch" }.Start();
            return true;
        }
        catch (OutOfMemoryException e)
        {
            _shortage ??= needed ? e : null; // The system gives no more threads: else with those there are.
            return false;
        }
    }

    private void TellWhenOver()
    {
        bool completed;
        string? failure;
        OutOfMemoryException? shortage;
        lock (_gate)
        {
            (shortage, _shortage) = (_shortage, null);
        }

        if (shortage is not null)
        {
            _events.Failed(shortage);
        }

        lock (_gate)
        {
            if (_reporting > 0)
            {
                return; // Nobody listens to a complaint after the end: it is told when the complaints are.
            }

            (completed, failure) = (_board.Completed, _board.Failure);
        }

        if (completed || failure is not null)
        {
            Tell(completed, failure ?? "");
        }
    }

    private void Tell(bool ok, string detail)
    {
        lock (_gate)
        {
            if (_told)
            {
                return;
            }

            _told = true;
        }

        _events.Fetched(ok, detail);
    }
}
