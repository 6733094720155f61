using Collective.Collectives;
using Collective.Protocol;
using Collective.Sharing;
using Collective.Transport;
using NUnit.Framework;

namespace Collective.Core.Tests.SharedState;

/// <summary>Fetches tensors from fake holders, as a plan says.</summary>
internal abstract class FetchTest
{
    protected static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly List<Recorder> _fetches = [];

    // A tensor's memory lives as long as it does.
    private readonly List<TestTensor> _tensors = [];

    protected FakeHolders Holders { get; private set; } = null!;

    [SetUp]
    public void Open() => Holders = new FakeHolders();

    [TearDown]
    public void Close()
    {
        _fetches.ForEach(f => f.End());
        _fetches.Clear();
        Holders.Dispose();
        _tensors.Clear();
    }

    protected static byte[] Bytes(int seed, int count)
    {
        var bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    /// <summary>A fetch of these tensors from all holders, whose content has these hashes.</summary>
    protected Recorder Begin(IReadOnlyList<TestTensor> mine, IReadOnlyList<TestTensor> elected, int connections = 4, bool hashedAhead = true)
    {
        var fetches = mine.Select((t, i) => new StateFetch((ushort)i, StateHasher.HashOf(elected[i].Hashed()), 0)).ToList();
        ushort[] everybody = [.. Enumerable.Range(0, Holders.Members.Count).Select(i => (ushort)i)];
        return Begin(new SharedStatePlan(new RequestNumber(1), new Revision(1), Holders.Members, [everybody], fetches), mine, connections, elected, hashedAhead);
    }

    /// <summary>A fetch by this plan.</summary>
    protected Recorder Begin(SharedStatePlan plan, IReadOnlyList<TestTensor> mine, int connections, IReadOnlyList<TestTensor> elected, bool hashedAhead = true)
    {
        var recorder = new Recorder(plan, [.. mine.Select(t => hashedAhead ? t.Hashed() : t.Tensor)], connections, Holders);
        _fetches.Add(recorder);
        _tensors.AddRange([.. mine, .. elected]);
        recorder.Fetcher.Start();
        return recorder;
    }

    /// <summary>One fetch and what it told.</summary>
    internal sealed class Recorder : IFetchEvents
    {
        private readonly TaskCompletionSource<(bool Ok, string Detail)> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly WorkBuffers _buffers = new();
        private bool _ended;

        public Recorder(SharedStatePlan plan, IReadOnlyList<StateTensor> tensors, int connections, IStateConnections network)
        {
            Fetcher = new StateFetcher(plan, tensors, connections, network, new StagingMemory(_buffers.Rent, _buffers.Return), this);
        }

        public StateFetcher Fetcher { get; }

        public List<(PeerId Holder, bool WrongBytes, string Detail)> Failures { get; } = [];

        public (bool Ok, string Detail) Outcome => _outcome.Task.WaitAsync(Patience).GetAwaiter().GetResult();

        public bool IsOver => _outcome.Task.IsCompleted;

        /// <summary>What follows a successful verdict.</summary>
        public void Commit()
        {
            Assert.That(Outcome, Is.EqualTo((true, "")));
            Fetcher.Stop();
            Fetcher.CopyToTensors();
            End();
        }

        public void End()
        {
            if (!_ended)
            {
                _ended = true;
                Fetcher.Stop();
                Fetcher.Dispose();
                _buffers.Dispose();
            }
        }

        public void Fetched(bool ok, string detail) => Assert.That(_outcome.TrySetResult((ok, detail)), "told twice");

        public void HolderFailed(PeerId holder, bool wrongBytes, string detail)
        {
            lock (Failures)
            {
                Failures.Add((holder, wrongBytes, detail));
            }
        }

        public void Failed(Exception exception) => _outcome.TrySetException(exception);
    }
}
