using Collective.Collectives;
using Collective.Coordination;
using Collective.Hosting;
using Collective.Protocol;
using Microsoft.Extensions.Logging;

namespace Collective;

/// <summary>
/// Through a communicator a process is a peer of a run: it connects to the master, is admitted, and reduces tensors with the other peers of its group.
/// Any thread may call; calls that exclude each other fail with a typed error.
/// </summary>
/// <remarks>
/// All peers of a group make the same sequence of <see cref="UpdateTopologyAsync"/>, <see cref="OptimizeTopologyAsync"/>, <see cref="ArePeersPendingAsync"/> and collectives (of one tag).
/// Several collectives may be in flight, with different tags, launched in any order: at most 256. A collective that was aborted
/// (<see cref="ErrorCode.OperationAborted"/>) is called again before anything else: a peer that had not entered it yet hears of no abort, and waits for the others in that very call.
/// </remarks>
public sealed partial class Communicator : IAsyncDisposable
{
    private readonly CommunicatorOptions _options;
    private readonly HostPort _master;
    private readonly HostPort? _advertised;
    private readonly ILogger _logger;

    // Kept from one stay to the next: what is freed and taken again, in other sizes and on other threads, the allocator does not give back.
    private readonly WorkBuffers _workBuffers = new();

    private readonly RevisionCount _revisions = new();

    // Guards the change from one stay in a run to the next against concurrent connects and disposal.
    private readonly Lock _gate = new();
    private Participation? _participation;
    private bool _disposed;

    /// <summary>Makes a communicator; nothing is sent before <see cref="ConnectAsync"/>.</summary>
    /// <exception cref="CollectiveException">
    /// <see cref="ErrorCode.InvalidArgument"/>: an option is out of its range. <see cref="ErrorCode.LimitExceeded"/>: the system gives this process too little to begin with.
    /// </exception>
    public Communicator(CommunicatorOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        RuntimeStart.Ensure();
        _master = HostPort.Parse(options.Master, CommunicatorOptions.DefaultMasterPort, "the master's address");
        _advertised = AdvertisedAddress.Of(options);
        Require(_master.Port > 0, "the master's port is 0: give the port it listens on");
        Require(options.StripeCount is >= 1 and <= Limits.StripesMax, $"the stripe count is {options.StripeCount}: choose 1 to {Limits.StripesMax}");
        Require(options.MinimumWorldSize is >= 1 and <= Limits.PeersMax, $"the minimum world size is {options.MinimumWorldSize}: choose 1 to {Limits.PeersMax}");
        Require(options.ConnectTimeout.TotalMilliseconds is >= 100 and <= 600_000, $"the connect timeout is {options.ConnectTimeout}: choose 100 ms to 10 min");
        Require(options.ListenPort is null or (>= 0 and <= ushort.MaxValue), $"the listen port is {options.ListenPort}: choose 0 to 65535, or none");
        Require(options.LinkStallTimeout.TotalMilliseconds is >= 100 and <= 600_000, $"the link stall timeout is {options.LinkStallTimeout}: choose 100 ms to 10 min");
        Require(
            options.StateUploadBytesPerSecond is 0 or >= Limits.StateUploadBytesPerSecondMin,
            $"the upload limit is {options.StateUploadBytesPerSecond} bytes a second: choose {Limits.StateUploadBytesPerSecondMin} or more, or 0 for none");
        _options = options.Snapshot();
        if (options.Fingerprint.Length > 0)
        {
            Announce(options.Fingerprint);
        }

        _ = TimeoutMs(null);
        _logger = BackgroundLog.CreateLogger(options.LoggerFactory, "Collective.Peer");
    }

    /// <summary>Whether this peer is admitted and its master is there.</summary>
    public bool IsConnected => _participation is { Failure: null, World: not null };

    /// <summary>This peer's id; new with every connect.</summary>
    /// <exception cref="CollectiveException"><see cref="ErrorCode.NotConnected"/>.</exception>
    public PeerId Id => Current().Id;

    /// <summary>
    /// The membership of this peer's group as of the last call that ended. Between calls it does not change, so that peers which decide by it decide alike: after a committed all-reduce it is
    /// the membership that contributed, after an aborted one that in which the others hear of the abort too, after connect, step, update, optimize and sync that of the answer.
    /// </summary>
    /// <remarks>A call that is in flight may end at any time: await all collectives before you decide by it, or use <see cref="AllReduceResult.World"/>. <see cref="LiveWorld"/> shows what happens between calls.</remarks>
    /// <exception cref="CollectiveException"><see cref="ErrorCode.NotConnected"/>, or what ended the connection.</exception>
    public World World => Current().World!;

    /// <summary>
    /// The latest membership that stands. It changes whenever a peer is lost, also between calls, and at another moment at each peer: show it, but decide by <see cref="World"/> what all peers must decide alike.
    /// </summary>
    /// <exception cref="CollectiveException"><see cref="ErrorCode.NotConnected"/>, or what ended the connection.</exception>
    public World LiveWorld => Current().LiveWorld!;

    /// <summary>A number of <see cref="World"/>, by its name in the C ABI.</summary>
    /// <exception cref="CollectiveException"><see cref="ErrorCode.NotConnected"/>; <see cref="ErrorCode.InvalidArgument"/> for an unknown attribute.</exception>
    public int GetAttribute(CommunicatorAttribute attribute)
    {
        var world = World;
        return attribute switch
        {
            CommunicatorAttribute.GlobalWorldSize => world.GlobalWorldSize,
            CommunicatorAttribute.PeerGroupWorldSize => world.WorldSize,
            CommunicatorAttribute.NumberOfDistinctPeerGroups => world.GroupCount,
            CommunicatorAttribute.LargestPeerGroupWorldSize => world.LargestGroupWorldSize,
            _ => throw new CollectiveException(ErrorCode.InvalidArgument, $"{(int)attribute} is no attribute: use 1 to 4"),
        };
    }

    /// <summary>
    /// Registers with the master and waits until this peer is admitted: at once when it is the first of the run, else when the admitted peers update
    /// their topology, or when a peer that is alone in the group wants to reduce for the first time; and never before its group would have
    /// <see cref="CommunicatorOptions.MinimumWorldSize"/> peers. May be called again after it failed or the connection ended.
    /// </summary>
    /// <exception cref="CollectiveException">
    /// <see cref="ErrorCode.InvalidUsage"/>: already connected. <see cref="ErrorCode.MasterUnreachable"/>, <see cref="ErrorCode.MasterRefused"/>,
    /// <see cref="ErrorCode.MasterLost"/>, <see cref="ErrorCode.Evicted"/>: as named. <see cref="ErrorCode.TimedOut"/>: not admitted within <paramref name="timeout"/>
    /// (<see langword="null"/>: <see cref="CommunicatorOptions.CallTimeout"/>); the communicator is as before the call.
    /// </exception>
    /// <exception cref="OperationCanceledException">Cancelled: the communicator is as before the call.</exception>
    public async Task ConnectAsync(TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var timeoutMs = TimeoutMs(timeout);
        Participation participation;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_participation is { Failure: null })
            {
                throw new CollectiveException(ErrorCode.InvalidUsage, "the communicator is already connected or connecting");
            }

            _participation = participation = new Participation(_options, _master, _advertised, _workBuffers, _logger);
            participation.Start(timeoutMs, [.. _fingerprints.Select(f => new Fingerprint(f.Key, f.Value))]);
        }

        var registration = cancellationToken.Register(participation.Leave);
        try
        {
            await participation.Admitted.ConfigureAwait(false);
            if (!registration.Unregister())
            {
                cancellationToken.ThrowIfCancellationRequested(); // It leaves.
            }
        }
        catch (Exception e)
        {
            // Cancelled, or over: not half connected, so that it can be called again.
            registration.Unregister();
            participation.Leave();
            await participation.Closed.ConfigureAwait(false);
            if (e is CollectiveException { Code: ErrorCode.NotConnected })
            {
                cancellationToken.ThrowIfCancellationRequested();
            }

            throw;
        }
    }

    /// <summary>
    /// Votes to update the topology and waits for the vote of all admitted peers of the run; the pending peers are then admitted.
    /// One round trip when nothing changed. Cancelling, or the end of <paramref name="timeout"/> (<see langword="null"/>: <see cref="CommunicatorOptions.CallTimeout"/>),
    /// withdraws the vote; but once all have voted the update is done, and the call ends with it.
    /// </summary>
    /// <returns>The membership that now stands.</returns>
    /// <exception cref="CollectiveException">
    /// <see cref="ErrorCode.PendingOperations"/>: await the collectives in flight first. <see cref="ErrorCode.InvalidUsage"/>: this peer waits in it already.
    /// <see cref="ErrorCode.CrossedCalls"/>: another peer waits in an all-reduce, in <see cref="OptimizeTopologyAsync"/> or in <see cref="ArePeersPendingAsync"/>. <see cref="ErrorCode.TimedOut"/>: not all have voted; the message names who.
    /// <see cref="ErrorCode.NotConnected"/>, <see cref="ErrorCode.MasterLost"/>, <see cref="ErrorCode.Evicted"/>.
    /// </exception>
    /// <exception cref="OperationCanceledException">Cancelled: this peer has not voted.</exception>
    public async Task<World> UpdateTopologyAsync(TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        var participation = Current();
        var (newcomers, world) = await participation.UpdateTopology(TimeoutMs(timeout), cancellationToken).ConfigureAwait(false);
        return world.Given(newcomers);
    }

    /// <summary>
    /// Votes to optimise the ring order and waits for the vote of all admitted peers of the run. What the links between the peers of each group carry is then measured
    /// (only what is not known from an earlier call, for at most 2 s each pair and 2 min in all), and each group gets the ring whose slowest link is fastest, unless the present one
    /// is about as good. Call it when the membership has changed, and not in every step: it keeps the network busy for a moment.
    /// </summary>
    /// <remarks>
    /// A peer that is lost meanwhile is left out, and a pair that cannot be measured counts as slower than all others: the call of the others succeeds.
    /// Cancelling, or the end of <paramref name="timeout"/> (<see langword="null"/>: <see cref="CommunicatorOptions.CallTimeout"/>), withdraws the vote; once all have voted it
    /// cuts the measuring short for all peers, and the call ends with the best ring of what is known.
    /// </remarks>
    /// <returns>The membership that now stands.</returns>
    /// <exception cref="CollectiveException">
    /// <see cref="ErrorCode.PendingOperations"/>: await the collectives in flight first. <see cref="ErrorCode.InvalidUsage"/>: this peer waits in it, or in another vote, already.
    /// <see cref="ErrorCode.CrossedCalls"/>: another peer waits in an all-reduce, in <see cref="UpdateTopologyAsync"/> or in <see cref="ArePeersPendingAsync"/>.
    /// <see cref="ErrorCode.TimedOut"/>: not all have voted; the message names who. <see cref="ErrorCode.NotConnected"/>, <see cref="ErrorCode.MasterLost"/>, <see cref="ErrorCode.Evicted"/>.
    /// </exception>
    /// <exception cref="OperationCanceledException">Cancelled: this peer has not voted.</exception>
    public async Task<World> OptimizeTopologyAsync(TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        var participation = Current();
        return (await participation.OptimizeTopology(TimeoutMs(timeout), cancellationToken).ConfigureAwait(false)).World;
    }

    /// <summary>
    /// What a loop needs at its top, the same on every peer: admits who waits, and gives the world of this turn. All admitted peers of the run call it once a turn; one round trip when
    /// nothing changed. A peer that has just been admitted comes from the others' step: its first call returns at once, so newcomers need no code of their own.
    /// </summary>
    /// <remarks>A loop that calls it needs neither <see cref="UpdateTopologyAsync"/> nor <see cref="ArePeersPendingAsync"/>. Synchronise the shared state when <see cref="World.HasNewcomers"/> says so: all peers are told the same.</remarks>
    /// <returns>The membership that now stands.</returns>
    /// <inheritdoc cref="UpdateTopologyAsync"/>
    public async Task<World> StepAsync(TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        var participation = Current();
        var (newcomers, world) = await participation.Step(TimeoutMs(timeout), cancellationToken).ConfigureAwait(false);
        return world.Given(newcomers);
    }

    /// <summary>
    /// Asks, together with all admitted peers of the run, whether a peer waits to be admitted; all get the same answer.
    /// Allowed while collectives are in flight. Cancelling, or the end of <paramref name="timeout"/> (<see langword="null"/>: <see cref="CommunicatorOptions.CallTimeout"/>), withdraws the question.
    /// </summary>
    /// <exception cref="CollectiveException"><see cref="ErrorCode.InvalidUsage"/>: this peer waits in it, or in a vote, already.
    /// <see cref="ErrorCode.CrossedCalls"/>: another peer waits in update or optimize topology. <see cref="ErrorCode.TimedOut"/>: not all have asked; the message names who. <see cref="ErrorCode.NotConnected"/>, <see cref="ErrorCode.MasterLost"/>, <see cref="ErrorCode.Evicted"/>.</exception>
    public Task<bool> ArePeersPendingAsync(TimeSpan? timeout = null, CancellationToken cancellationToken = default)
        => Current().QueryPending(TimeoutMs(timeout), cancellationToken);

    /// <summary>Reduces <paramref name="buffer"/> in place over all peers of the group, and blocks until it is done.</summary>
    /// <inheritdoc cref="AllReduceAsync(AllReduceRequest, TimeSpan?, CancellationToken)"/>
    public unsafe AllReduceResult AllReduce<T>(Span<T> buffer, ReduceOperation operation = ReduceOperation.Sum, ulong tag = 0, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
        where T : unmanaged
    {
        fixed (T* pointer = buffer)
        {
            return LaunchPinned((nint)pointer, (nint)pointer, buffer.Length, Buffers.DataTypeOf<T>(), operation, tag, timeout, cancellationToken).GetAwaiter().GetResult();
        }
    }

    /// <summary>Reduces <paramref name="source"/> over all peers of the group into <paramref name="destination"/>, which must be as long, and blocks until it is done.</summary>
    /// <inheritdoc cref="AllReduceAsync(AllReduceRequest, TimeSpan?, CancellationToken)"/>
    public unsafe AllReduceResult AllReduce<T>(ReadOnlySpan<T> source, Span<T> destination, ReduceOperation operation = ReduceOperation.Sum, ulong tag = 0, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
        where T : unmanaged
    {
        RequireEqualLengths(source.Length, destination.Length);
        fixed (T* from = source, to = destination)
        {
            return LaunchPinned((nint)from, (nint)to, source.Length, Buffers.DataTypeOf<T>(), operation, tag, timeout, cancellationToken).GetAwaiter().GetResult();
        }
    }

    /// <summary>Reduces <paramref name="buffer"/> in place over all peers of the group.</summary>
    /// <inheritdoc cref="AllReduceAsync(AllReduceRequest, TimeSpan?, CancellationToken)"/>
    public Task<AllReduceResult> AllReduceAsync<T>(Memory<T> buffer, ReduceOperation operation = ReduceOperation.Sum, ulong tag = 0, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
        where T : unmanaged
        => AllReduceAsync(AllReduceRequest.InPlace(buffer, tag, operation), timeout, cancellationToken);

    /// <summary>Reduces <paramref name="source"/> over all peers of the group into <paramref name="destination"/>, which must be as long.</summary>
    /// <inheritdoc cref="AllReduceAsync(AllReduceRequest, TimeSpan?, CancellationToken)"/>
    public Task<AllReduceResult> AllReduceAsync<T>(ReadOnlyMemory<T> source, Memory<T> destination, ReduceOperation operation = ReduceOperation.Sum, ulong tag = 0, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
        where T : unmanaged
        => AllReduceAsync(AllReduceRequest.OutOfPlace(source, destination, tag, operation), timeout, cancellationToken);

    /// <summary>Reduces <paramref name="buffer"/> of float32 or float64 in place over all peers of the group; between them, smaller integers travel in place of the elements.</summary>
    /// <inheritdoc cref="AllReduceAsync(AllReduceRequest, TimeSpan?, CancellationToken)"/>
    public Task<AllReduceResult> AllReduceAsync<T>(Memory<T> buffer, Quantization quantization, ReduceOperation operation = ReduceOperation.Sum, ulong tag = 0, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
        where T : unmanaged
        => AllReduceAsync(AllReduceRequest.InPlace(buffer, tag, operation, quantization), timeout, cancellationToken);

    /// <summary>
    /// All-reduce: when it succeeds, every peer of the group holds the same bits, and the result is the reduction over exactly the
    /// <see cref="AllReduceResult.Contributors"/>. When it fails, it failed for every peer, and the buffers are what they were.
    /// </summary>
    /// <remarks>
    /// The buffers belong to the library until the task ends. Cancelling, or the end of <paramref name="timeout"/> (<see langword="null"/>: <see cref="CommunicatorOptions.CallTimeout"/>),
    /// aborts the operation for all peers, unless all had finished; the task ends when the group's ring stands again. Empty buffers are allowed: nothing is sent but the call takes part in
    /// the sequence of calls as any other, and is compared with those of the other peers. If this peer has not entered yet (a ring is being made) the others go on waiting for it.
    /// </remarks>
    /// <exception cref="CollectiveException">
    /// <see cref="ErrorCode.OperationAborted"/>: a peer or link was lost; call again. <see cref="ErrorCode.TooFewPeers"/>: this peer is alone in its group.
    /// <see cref="ErrorCode.Mismatch"/>: the peers' arguments differ. <see cref="ErrorCode.CrossedCalls"/>: another peer waits in update or optimize topology.
    /// <see cref="ErrorCode.TimedOut"/>: its time was over; the message names who had not entered or not finished.
    /// <see cref="ErrorCode.InvalidArgument"/>: also a tag in use, or a quantisation that does not fit the elements or the operation. <see cref="ErrorCode.LimitExceeded"/>: too many in flight.
    /// <see cref="ErrorCode.NotConnected"/>, <see cref="ErrorCode.MasterLost"/>, <see cref="ErrorCode.Evicted"/>.
    /// </exception>
    /// <exception cref="OperationCanceledException">Cancelled, and aborted for all peers.</exception>
    public Task<AllReduceResult> AllReduceAsync(AllReduceRequest request, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        var timeoutMs = TimeoutMs(timeout);
        var participation = Current();
        return Launch(participation, participation.NewOperation(request, new Tag(request.Tag)), timeoutMs, cancellationToken);
    }

    /// <summary>
    /// Runs all <paramref name="requests"/>, at most <paramref name="maxInFlight"/> at once, in the order given, and repeats those that were aborted
    /// because peers were lost until every one has committed. All peers of the group pass the same list of tags.
    /// </summary>
    /// <remarks>Operations of one call may have committed with different memberships.</remarks>
    /// <exception cref="CollectiveException">As <see cref="AllReduceAsync(AllReduceRequest, TimeSpan?, CancellationToken)"/>, with <paramref name="timeout"/> for the whole call, but <see cref="ErrorCode.OperationAborted"/> only after 1,000 aborted attempts.</exception>
    public async Task<AllReduceMultipleResult> AllReduceMultipleWithRetryAsync(IReadOnlyList<AllReduceRequest> requests, int maxInFlight = 8, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(requests);
        Require(requests.Count > 0, "the list of requests is empty");
        Require(requests.All(r => r is not null), "a request in the list is null");
        _ = TimeoutMs(timeout);
        Require(maxInFlight is >= 1 and <= Limits.OperationsInFlightMax, $"{maxInFlight} in flight: choose 1 to {Limits.OperationsInFlightMax}");
        Require(requests.Select(r => r.Tag).Distinct().Count() == requests.Count, "two requests have the same tag");
        return await new RetryingBatch(this, requests, maxInFlight, timeout ?? _options.CallTimeout).RunAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// Makes the shared state equal on all peers of the group: a barrier, entered by all of them, in which one content is elected, and whoever has another one fetches the blocks
    /// that differ from all peers that have it. When it succeeds, every peer of the group holds the same bytes, checked by a 128-bit hash, and the same revision. When it fails, it
    /// failed for every peer, and neither tensors nor <see cref="SharedState.Revision"/> of any of them were touched. A peer whose call does not fit what is elected leaves the run; the
    /// others succeed in the same call, without it, and <see cref="SharedStateSyncResult.LeftOut"/> says who it was.
    /// </summary>
    /// <remarks>
    /// The tensors belong to the library until the task ends: do not write to them. Needs free memory of the size of what is fetched. Cancelling, or the end of <paramref name="timeout"/>
    /// (<see langword="null"/>: <see cref="CommunicatorOptions.CallTimeout"/>), withdraws this peer's vote; once the exchange has begun, the sync then fails for all. Collectives must not be in flight.
    /// </remarks>
    /// <param name="state">The tensors and their revision. All peers of the group name the same tensors, of the same types and sizes.</param>
    /// <param name="strategy">Whether this peer's content counts, and whether it may be overwritten.</param>
    /// <param name="progress">Told how far this peer's own fetching is, a few times a second; from a thread of the library.</param>
    /// <param name="timeout">Longest time of the call.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
    /// <exception cref="CollectiveException">
    /// <see cref="ErrorCode.InvalidArgument"/>: the list is empty, a key is used twice, tensors overlap, or the strategies of the peers do not go together. <see cref="ErrorCode.Mismatch"/>: this peer's tensors are not the others'.
    /// <see cref="ErrorCode.RevisionMismatch"/>: its revision does not fit. Both end this peer's stay in the run, unless nothing could be elected at all; connect again.
    /// <see cref="ErrorCode.SyncFailed"/>: a peer could not finish, the message names it; call again.
    /// <see cref="ErrorCode.PendingOperations"/>, <see cref="ErrorCode.InvalidUsage"/>: not now. <see cref="ErrorCode.CrossedCalls"/>, <see cref="ErrorCode.TimedOut"/>,
    /// <see cref="ErrorCode.NotConnected"/>, <see cref="ErrorCode.MasterLost"/>, <see cref="ErrorCode.Evicted"/>.
    /// </exception>
    /// <exception cref="OperationCanceledException">Cancelled: nothing was written.</exception>
    public Task<SharedStateSyncResult> SynchronizeSharedStateAsync(
        SharedState state,
        SyncStrategy strategy = SyncStrategy.EnforcePopular,
        IProgress<SharedStateProgress>? progress = null,
        TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(state);
        Require(Enum.IsDefined(strategy), $"{(int)strategy} is no sync strategy");
        var timeoutMs = TimeoutMs(timeout);
        var participation = Current();
        cancellationToken.ThrowIfCancellationRequested();
        var pinned = state.Pin(_revisions);
        try
        {
            return participation.Synchronise(pinned, strategy, progress, timeoutMs, cancellationToken);
        }
        catch
        {
            pinned.Dispose();
            throw;
        }
    }

    /// <summary>As <see cref="SynchronizeSharedStateAsync"/>, but blocks until it is done.</summary>
    /// <inheritdoc cref="SynchronizeSharedStateAsync"/>
    public SharedStateSyncResult SynchronizeSharedState(
        SharedState state,
        SyncStrategy strategy = SyncStrategy.EnforcePopular,
        IProgress<SharedStateProgress>? progress = null,
        TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
        => SynchronizeSharedStateAsync(state, strategy, progress, timeout, cancellationToken).GetAwaiter().GetResult();

    /// <summary>Leaves the run cleanly: the others go on without this peer. Calls that are pending end with <see cref="ErrorCode.NotConnected"/>.</summary>
    public async ValueTask DisposeAsync()
    {
        Participation? participation;
        lock (_gate)
        {
            _disposed = true;
            participation = _participation;
        }

        if (participation is not null)
        {
            participation.Leave();
            await participation.Closed.ConfigureAwait(false);
        }

        _workBuffers.Dispose();
        BackgroundLog.Flush(_options.LoggerFactory);
    }

    private Task<AllReduceResult> LaunchPinned(nint source, nint destination, long count, DataType type, ReduceOperation operation, ulong tag, TimeSpan? timeout, CancellationToken cancellationToken)
    {
        var timeoutMs = TimeoutMs(timeout);
        var participation = Current();
        var launched = participation.NewOperation(new Tag(tag), AllReduceRequest.Describe(count, type, operation, Quantization.None, ""));
        launched.UseMemory(source, destination);
        return Launch(participation, launched, timeoutMs, cancellationToken);
    }

    private static Task<AllReduceResult> Launch(Participation participation, AllReduceOperation operation, long timeoutMs, CancellationToken cancellationToken)
    {
        participation.Launch(operation, timeoutMs);
        return cancellationToken.CanBeCanceled ? Participation.WithCancellation(operation.Completion, () => participation.Cancel(operation.Id), cancellationToken) : operation.Completion;
    }

    /// <summary>The time of a call in milliseconds, as the state machine counts it: the option's where the call gives none.</summary>
    private long TimeoutMs(TimeSpan? ofCall)
    {
        var timeout = ofCall ?? _options.CallTimeout;
        Require(timeout == Timeout.InfiniteTimeSpan || timeout.TotalMilliseconds >= 1, $"the timeout is {timeout}: choose 1 ms or more, or Timeout.InfiniteTimeSpan for none");
        return timeout == Timeout.InfiniteTimeSpan ? PeerInput.NoTimeout : (long)timeout.TotalMilliseconds;
    }

    private Participation Current()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        var participation = _participation;
        if (participation?.Failure is { } failure)
        {
            throw new CollectiveException(failure.Code, failure.Message);
        }

        return participation is { World: not null }
            ? participation
            : throw new CollectiveException(ErrorCode.NotConnected, "the communicator is not connected: call ConnectAsync and await it first");
    }

    internal static void RequireEqualLengths(int source, int destination, string unit = "elements")
        => Require(source == destination, $"the source has {source} {unit}, the destination {destination}: they must be equal");

    internal static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new CollectiveException(ErrorCode.InvalidArgument, message);
        }
    }
}
